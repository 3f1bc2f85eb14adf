// Where things are in packed weights.
#ifndef CKERNELS_LINEAR_LAYOUT_H
#define CKERNELS_LINEAR_LAYOUT_H

#include "linear_kernels.h"

// The kernels of the instruction set that the calling thread uses.
const ck_linear_kernels *ck_current_linear_kernels(void);

static inline int64_t up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static inline bool is_integer(ck_weight_format format) { return format == CK_WEIGHT_I8 || format == CK_WEIGHT_I4; }
static inline bool is_scaled(ck_weight_format format) { return is_integer(format) || format == CK_WEIGHT_F8; }

// Whether the products take the panels in another format than they are kept in.
static inline bool is_widened(const ck_weights *weights) { return weights->products != weights->format; }

// The code of zero, where nothing else is said.
static inline uint8_t middle_code(ck_weight_format format) { return format == CK_WEIGHT_I8 ? 128 : 8; }

// Bytes of `count` elements of k in a panel's column; count is a multiple of 8 or all of k.
static inline int64_t column_bytes(ck_weight_format format, int64_t count) {
    switch (format) {
    case CK_WEIGHT_F32: return 4 * count;
    case CK_WEIGHT_BF16: return 4 * ((count + 1) / 2);
    case CK_WEIGHT_F16: return 2 * count;
    case CK_WEIGHT_I8:
    case CK_WEIGHT_F8: return 4 * ((count + 3) / 4);
    case CK_WEIGHT_I4: return 4 * ((count + 7) / 8);
    }
    return 0;
}

static inline int64_t panels(const ck_weights *weights) { return (weights->n + CK_PANEL - 1) / CK_PANEL; }

static inline int64_t groups(const ck_weights *weights) {
    return weights->group > 0 ? (weights->k + weights->group - 1) / weights->group : 0;
}

static inline int panel_width(const ck_weights *weights, int64_t panel) {
    return (int)smaller(CK_PANEL, up(weights->n - panel * CK_PANEL, CK_COLUMNS));
}

// Every panel begins on a cache line.
static inline int64_t panel_bytes(const ck_weights *weights) {
    return up(CK_PANEL * column_bytes(weights->format, weights->k), 64);
}

static inline unsigned char *panel_data(const ck_weights *weights, int64_t panel) {
    return weights->data + panel * panel_bytes(weights);
}

static inline float *panel_scales(const ck_weights *weights, int64_t panel) {
    return (float *)(void *)(weights->data + weights->scales_offset) + panel * CK_PANEL * groups(weights);
}

static inline uint8_t *panel_zeros(const ck_weights *weights, int64_t panel) {
    return weights->data + weights->zeros_offset + panel * CK_PANEL * groups(weights);
}

#endif
