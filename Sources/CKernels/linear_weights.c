// Packed weights: their layout, packing rows of any element type or of codes, and reading a row.

#include <string.h>

#include "linear_layout.h"

ck_weights ck_weights_layout(ck_weight_format format, int64_t n, int64_t k, int64_t group) {
    ck_weights weights = {.format = format, .products = format, .n = n, .k = k};
    if (is_integer(format)) weights.group = group;
    if (format == CK_WEIGHT_F8) {
        weights.group = larger(k, 1);
        weights.products = CK_WEIGHT_BF16;
    }
    size_t columns = (size_t)(panels(&weights) * CK_PANEL), scales = columns * (size_t)groups(&weights);
    weights.bytes = (size_t)(panels(&weights) * panel_bytes(&weights));
    weights.scales_offset = weights.bytes;
    weights.bytes += scales * sizeof(float);
    weights.zeros_offset = weights.bytes;
    if (is_integer(format)) weights.bytes += scales;
    weights.bytes = (size_t)up((int64_t)weights.bytes, 64);
    return weights;
}

typedef struct pack_job {
    const ck_linear_kernels *kernels;
    const ck_weights *weights;
    int64_t row, count;
    ck_weight_rows rows;  // of the first row; where to write is not set
} pack_job;

// Columns between n and the panel's width: zeros, which the products compute with and nobody sees.
static void clear_filling(const ck_weights *weights, int64_t panel) {
    int width = panel_width(weights, panel), used = (int)(weights->n - panel * CK_PANEL);
    size_t element = weights->format == CK_WEIGHT_F16 ? 2 : 4, filling = (size_t)(width - used);
    unsigned char *data = panel_data(weights, panel);
    int64_t steps = column_bytes(weights->format, weights->k) / (int64_t)element;
    for (int64_t s = 0; s < steps; s++) {
        memset(data + ((size_t)(s * width) + (size_t)used) * element, 0, filling * element);
    }
    for (int64_t g = 0; g < groups(weights); g++) {
        memset(panel_scales(weights, panel) + g * width + used, 0, filling * sizeof(float));
        if (!is_integer(weights->format)) continue;
        memset(panel_zeros(weights, panel) + g * width + used, middle_code(weights->format), filling);
    }
}

static void pack_panel(void *context, int64_t chunk, int worker) {
    (void)worker;
    const pack_job *job = context;
    const ck_weights *weights = job->weights;
    int64_t panel = job->row / CK_PANEL + chunk;
    int64_t first = larger(job->row, panel * CK_PANEL);
    int64_t end = smaller(job->row + job->count, (panel + 1) * CK_PANEL);
    int element = weights->format == CK_WEIGHT_F16 ? 2 : 4;
    for (int64_t row = first; row < end;) {
        int64_t column = row - panel * CK_PANEL, from = row - job->row;
        ck_weight_rows rows = job->rows;
        // Pieces that end at multiples of 8 columns write whole words of memory.
        rows.rows = (int)smaller(end - row, 8 - column % 8);
        if (rows.source != NULL) rows.source += from * rows.stride * ck_type_bytes(rows.type);
        if (rows.codes != NULL) {
            rows.codes += from * rows.stride;
            rows.code_scales += from * groups(weights);
            if (rows.code_zeros != NULL) rows.code_zeros += from * groups(weights);
        }
        rows.width = panel_width(weights, panel);
        rows.weights = panel_data(weights, panel) + column * element;
        rows.scales = panel_scales(weights, panel) + column;
        rows.zeros = panel_zeros(weights, panel) + column;
        job->kernels->pack_weights(&rows);
        row += rows.rows;
    }
    if (end == weights->n && end < panel * CK_PANEL + panel_width(weights, panel)) clear_filling(weights, panel);
}

static void run_packing(ck_pool *pool, pack_job *job) {
    if (job->count <= 0) return;
    job->kernels = ck_current_linear_kernels();
    int64_t last = (job->row + job->count - 1) / CK_PANEL;
    ck_pool_run(pool, last - job->row / CK_PANEL + 1, pack_panel, job);
}

void ck_weights_pack(ck_pool *pool, ck_weights *weights, int64_t row, int64_t count, ck_type type,
                     const void *source, int64_t stride) {
    pack_job job = {.weights = weights, .row = row, .count = count};
    job.rows = (ck_weight_rows){.format = weights->format, .k = weights->k, .group = weights->group,
                                .type = type, .source = source, .stride = stride};
    run_packing(pool, &job);
}

void ck_weights_pack_codes(ck_pool *pool, ck_weights *weights, int64_t row, int64_t count, const void *codes,
                           const float *scales, const uint8_t *zeros) {
    int64_t points = zeros != NULL ? count * groups(weights) : 0;
    for (int64_t i = 0; i < points && !weights->asymmetric; i++) {
        weights->asymmetric = zeros[i] != middle_code(weights->format);
    }
    pack_job job = {.weights = weights, .row = row, .count = count};
    job.rows = (ck_weight_rows){.format = weights->format, .k = weights->k, .group = weights->group,
                                .codes = codes, .code_scales = scales, .code_zeros = zeros,
                                .stride = weights->k};
    run_packing(pool, &job);
}

// The weight as it was given, or as quantizing left it: fp32 before any rounding to the type of the products.
static float stored_weight(const ck_weights *weights, int64_t panel, int64_t column, int64_t i) {
    int64_t width = panel_width(weights, panel), g = 0;
    const unsigned char *data = panel_data(weights, panel), *step = data + 4 * (i / 4 * width + column);
    if (weights->group > 0) g = weights->group_of != NULL ? weights->group_of[i] : i / weights->group;
    const float *scale = panel_scales(weights, panel) + g * width + column;
    const uint8_t *zero = panel_zeros(weights, panel) + g * width + column;
    float value = 0;
    switch (weights->format) {
    case CK_WEIGHT_F32: ck_to_f32(CK_F32, data + 4 * (i * width + column), &value, 1); break;
    case CK_WEIGHT_F16: ck_to_f32(CK_F16, data + 2 * (i * width + column), &value, 1); break;
    case CK_WEIGHT_BF16: ck_to_f32(CK_BF16, data + 4 * (i / 2 * width + column) + 2 * (i % 2), &value, 1); break;
    case CK_WEIGHT_I8: value = *scale * (float)(step[i % 4] - *zero); break;
    case CK_WEIGHT_I4:
        step = data + 4 * (i / 8 * width + column);
        value = *scale * (float)((step[i % 4] >> (i % 8 < 4 ? 0 : 4) & 15) - *zero);
        break;
    case CK_WEIGHT_F8:
        ck_to_f32(CK_F8_E4M3, step + i % 4, &value, 1);
        value *= *scale;
        break;
    }
    return value;
}

void ck_weights_row(const ck_weights *weights, int64_t row, float *destination) {
    int64_t panel = row / CK_PANEL, column = row % CK_PANEL;
    for (int64_t i = 0; i < weights->k; i++) destination[i] = stored_weight(weights, panel, column, i);
    if (!is_widened(weights) || weights->products == CK_WEIGHT_F32) return;
    ck_type type = weights->products == CK_WEIGHT_BF16 ? CK_BF16 : CK_F16;
    for (int64_t i = 0; i < weights->k; i++) {
        uint16_t word;
        ck_from_f32(type, destination + i, &word, 1);
        ck_to_f32(type, &word, destination + i, 1);
    }
}
