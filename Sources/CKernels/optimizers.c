// The optimizers: computes a step's scalars in double, chooses the kernels and divides the elements among threads.

#include "include/optimizers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/cpu.h"
#include "optimizers_kernels.h"

// Elements in a chunk, a whole number of blocks of states: some microseconds of work.
#define CHUNK_ELEMENTS 16384

static const ck_optimizer_kernels *kernels(void) {
#if defined(__x86_64__)
    ck_isa isa = ck_current_isa();
    if (isa >= CK_ISA_AVX512) return &ck_optimizers_avx512;
    if (isa >= CK_ISA_AVX2) return &ck_optimizers_avx2;
#endif
    return &ck_optimizers_portable;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// What a setting was before it became a float, which is the shortest decimal number that becomes the same: 1 - beta2
// would else be off by 1e-5 where beta2 is 0.999.
static double decimal(float value) {
    char digits[32];
    for (int count = 1; count < 9; count++) {
        snprintf(digits, sizeof digits, "%.*g", count, (double)value);
        double number = strtod(digits, NULL);
        if ((float)number == value) return number;
    }
    return (double)value;
}

// Elements of a chunk, and their copy if it is of a type that the kernels leave to this.
static void run_chunk(void *context, int64_t chunk, int worker) {
    (void)worker;
    const ck_step *step = context;
    const ck_update *update = step->update;
    int64_t begin = chunk * CHUNK_ELEMENTS, end = smaller(begin + CHUNK_ELEMENTS, update->count);
    step->kernel(step, begin, end);
    if (update->copy == NULL || update->copy_type == CK_F32 || update->copy_type == CK_BF16) return;
    char *copy = (char *)update->copy + begin * ck_type_bytes(update->copy_type);
    ck_from_f32(update->copy_type, update->parameters + begin, copy, end - begin);
}

static void run(ck_pool *pool, ck_step *step) {
    if (step->update->count <= 0) return;
    ck_pool_run(pool, (step->update->count + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS, run_chunk, step);
}

static ck_step adamw_step(const ck_update *update, float beta1, float beta2, float epsilon, int64_t t, float *m,
                          float *v) {
    double rate = decimal(update->learning_rate), b1 = decimal(beta1), b2 = decimal(beta2);
    return (ck_step){.update = update,
                     .kept = (float)(1 - rate * decimal(update->weight_decay)),
                     .step_size = (float)-(rate / (1 - pow(b1, (double)t))),
                     .beta1 = beta1,
                     .beta2 = beta2,
                     .rest1 = (float)(1 - b1),
                     .rest2 = (float)(1 - b2),
                     .root = (float)sqrt(1 - pow(b2, (double)t)),
                     .epsilon = epsilon,
                     .m = m,
                     .v = v};
}

void ck_adamw(ck_pool *pool, const ck_update *update, float beta1, float beta2, float epsilon, int64_t t, float *m,
              float *v) {
    ck_step step = adamw_step(update, beta1, beta2, epsilon, t, m, v);
    step.kernel = kernels()->adamw;
    run(pool, &step);
}

void ck_adamw_8bit_begin(int64_t count, uint8_t *m_codes, float *m_scales, uint8_t *v_codes, float *v_scales) {
    if (count <= 0) return;
    size_t blocks = (size_t)((count + CK_STATE_BLOCK - 1) / CK_STATE_BLOCK);
    memset(m_codes, CK_SIGNED_ZERO, (size_t)count);
    memset(v_codes, 0, (size_t)count);
    memset(m_scales, 0, blocks * sizeof *m_scales);
    memset(v_scales, 0, blocks * sizeof *v_scales);
}

void ck_adamw_8bit(ck_pool *pool, const ck_update *update, float beta1, float beta2, float epsilon, int64_t t,
                   uint8_t *m_codes, float *m_scales, uint8_t *v_codes, float *v_scales) {
    ck_step step = adamw_step(update, beta1, beta2, epsilon, t, m_scales, v_scales);
    step.kernel = kernels()->adamw_8bit;
    step.m_codes = m_codes;
    step.v_codes = v_codes;
    step.codes = ck_get_dynamic_codes();
    run(pool, &step);
}

void ck_sgd(ck_pool *pool, const ck_update *update, float momentum, int64_t t, float *velocity) {
    ck_step step = {.kernel = kernels()->sgd,
                    .update = update,
                    .step_size = -update->learning_rate,
                    .beta1 = momentum,
                    .is_first = t <= 1,
                    .m = momentum == 0 ? NULL : velocity};
    run(pool, &step);
}

void ck_lion(ck_pool *pool, const ck_update *update, float beta1, float beta2, float *m) {
    ck_step step = {.kernel = kernels()->lion,
                    .update = update,
                    .kept = (float)(1 - decimal(update->learning_rate) * decimal(update->weight_decay)),
                    .step_size = -update->learning_rate,
                    .beta1 = beta1,
                    .beta2 = beta2,
                    .rest1 = (float)(1 - decimal(beta1)),
                    .rest2 = (float)(1 - decimal(beta2)),
                    .m = m};
    run(pool, &step);
}

void ck_moving_average(ck_pool *pool, int64_t count, float decay, const float *parameters, float *average) {
    // The parameters are only read.
    ck_update update = {.count = count, .parameters = (float *)parameters};
    ck_step step = {.kernel = kernels()->moving_average,
                    .update = &update,
                    .beta1 = decay,
                    .rest1 = (float)(1 - decimal(decay)),
                    .m = average};
    run(pool, &step);
}
