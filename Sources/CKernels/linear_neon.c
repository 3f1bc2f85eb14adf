// Products with Advanced SIMD of 64-bit Arm: fp32 tiles of 4 rows by 16 columns, and 8-bit products either with the
// dot product instructions of Armv8.2, where the machine has them, or widened to 16 bits.

#if defined(__aarch64__)

#include <arm_neon.h>

#if defined(__linux__)
#include <sys/auxv.h>
#endif

#include "linear_kernels.h"

#pragma STDC FP_CONTRACT OFF

#define CK_VECTOR_BYTES 16
#include "linear_float.h"

#define CK_WIDEN_VECTORS 1
#include "linear_widen.h"

CK_FLOAT_TILES(multiply_f32, tile_f32, 4)
CK_FLOAT_TILES(multiply_bf16, tile_bf16, 4)
CK_FLOAT_TILES(multiply_f16, tile_f16, 2)

// Four columns of one row, of one group, as they grow: with dot products `first` alone, one sum a column; else two
// sums a column, columns 0 and 1 in `first` and 2 and 3 in `second`.
typedef struct products {
    int32x4_t first, second;
} products;

CK_INLINE int8x16_t row_codes(const unsigned char *row) {
    int32_t four;
    memcpy(&four, row, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

CK_INLINE void add_widened(products *sums, int8x16_t weights, int8x16_t row) {
    sums->first = vpadalq_s16(sums->first, vmull_s8(vget_low_s8(weights), vget_low_s8(row)));
    sums->second = vpadalq_s16(sums->second, vmull_high_s8(weights, row));
}

__attribute__((target("dotprod"))) static inline void add_dots(products *sums, int8x16_t weights, int8x16_t row) {
    sums->first = vdotq_s32(sums->first, weights, row);
}

// 8-bit codes lose their 128 again, so that a signed byte holds them, and need no correction where that is their zero
// point. 4-bit ones are corrected.
CK_INLINE void end_group(bool small, bool dot, const ck_tile *tile, int64_t g, int r, int c, const products *sums) {
    const int64_t column = g * tile->width + c;
    int32x4_t whole = dot ? sums->first : vpaddq_s32(sums->first, sums->second);
    if (small || tile->zeros != NULL) {
        int32x4_t correction = vdupq_n_s32(tile->row_corrections[g * tile->rows + r]);
        if (tile->zeros != NULL) {
            const uint8_t *zeros = tile->zeros + column;
            const int32_t lost = small ? 0 : 128;
            const int32_t points[4] = {zeros[0] - lost, zeros[1] - lost, zeros[2] - lost, zeros[3] - lost};
            correction = vmulq_s32(correction, vld1q_s32(points));
        }
        whole = vaddq_s32(whole, correction);
    }
    float32x4_t scale = vmulq_n_f32(vld1q_f32(tile->scales + column), tile->row_scales[g * tile->rows + r]);
    float *y = tile->sums + r * tile->pitch + c;
    float32x4_t before = g == 0 && !tile->continues ? vdupq_n_f32(0) : vld1q_f32(y);
    vst1q_f32(y, vfmaq_f32(before, vcvtq_f32_s32(whole), scale));
}

// One group, R rows and 16 columns. The arguments but the last four are known to the compiler.
#define CK_INT_GROUP(add, dot)                                                                               \
    products sums[2][4] = {0};                                                                               \
    const int64_t per_step = small ? 8 : 4, from = g * tile->group;                                          \
    const int64_t end = (smaller(from + tile->group, tile->count) + per_step - 1) / per_step;                \
    for (int64_t s = from / per_step; s < end; s++) {                                                        \
        const unsigned char *weights = tile->weights + (s * tile->width + c) * 4;                            \
        const unsigned char *row = tile->rows_packed + (s * (per_step / 4) * tile->rows + r) * 4;            \
        for (int v = 0; v < 4; v++) {                                                                        \
            uint8x16_t raw = vld1q_u8(weights + v * 16);                                                     \
            uint8x16_t low = small ? vandq_u8(raw, vdupq_n_u8(15)) : veorq_u8(raw, vdupq_n_u8(0x80));        \
            for (int i = 0; i < R; i++) add(&sums[i][v], vreinterpretq_s8_u8(low), row_codes(row + 4 * i));  \
            uint8x16_t high = vshrq_n_u8(raw, 4);                                                            \
            for (int i = 0; i < R && small; i++) {                                                           \
                add(&sums[i][v], vreinterpretq_s8_u8(high), row_codes(row + 4 * (tile->rows + i)));          \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    for (int i = 0; i < R; i++) {                                                                            \
        for (int v = 0; v < 4; v++) end_group(small, dot, tile, g, r + i, c + 4 * v, &sums[i][v]);           \
    }

CK_INLINE void widened_group(int R, bool small, const ck_tile *tile, int64_t g, int r, int c) {
    CK_INT_GROUP(add_widened, false)
}

__attribute__((target("dotprod"))) static inline void dot_group(int R, bool small, const ck_tile *tile, int64_t g,
                                                               int r, int c) {
    CK_INT_GROUP(add_dots, true)
}

#define CK_INT_TILES(name, one_group, small, attributes)                                                     \
    attributes static void name(const ck_tile *tile) {                                                       \
        for (int r = 0; r < tile->rows && tile->count == 0 && !tile->continues; r++) {                       \
            memset(tile->sums + r * tile->pitch, 0, sizeof(float) * (size_t)tile->width);                    \
        }                                                                                                    \
        for (int64_t g = 0; g * tile->group < tile->count; g++) {                                            \
            for (int c = 0; c < tile->width; c += 16) {                                                      \
                int r = 0;                                                                                   \
                for (; r + 2 <= tile->rows; r += 2) one_group(2, small, tile, g, r, c);                      \
                if (r < tile->rows) one_group(1, small, tile, g, r, c);                                      \
            }                                                                                                \
        }                                                                                                    \
    }

CK_INT_TILES(int8_widened, widened_group, false, )
CK_INT_TILES(int4_widened, widened_group, true, )
CK_INT_TILES(int8_dots, dot_group, false, __attribute__((target("dotprod"))))
CK_INT_TILES(int4_dots, dot_group, true, __attribute__((target("dotprod"))))

static bool has_dot_products(void) {
#if defined(__ARM_FEATURE_DOTPROD)
    return true;
#elif defined(__linux__)
    const unsigned long asimd_dot_products = 1ul << 20;
    return (getauxval(AT_HWCAP) & asimd_dot_products) != 0;
#else
    return false;
#endif
}

static void multiply_int8(const ck_tile *tile) {
    if (has_dot_products()) {
        int8_dots(tile);
    } else {
        int8_widened(tile);
    }
}

static void multiply_int4(const ck_tile *tile) {
    if (has_dot_products()) {
        int4_dots(tile);
    } else {
        int4_widened(tile);
    }
}

CK_INLINE void store_f16(ck_float16 values, unsigned char *to) {
    typedef _Float16 ck_half16 __attribute__((vector_size(32), aligned(2), may_alias));
    *(ck_half16 *)(void *)to = __builtin_convertvector(values, ck_half16);
}

static void widen(const ck_widening *widening) { widen_panel(widening, store_bf16_pairs, store_f16); }

const ck_linear_kernels ck_linear_neon = {
    .block_rows = {8, 8, 8, 8, 8},
    .packed_bytes = {4, 4, 4, 1, 1},
    .pack_rows = {pack_rows_f32, pack_rows_bf16_floats, pack_rows_f32, pack_rows_int8, pack_rows_int8},
    .multiply = {multiply_f32, multiply_bf16, multiply_f16, multiply_int8, multiply_int4},
    .finish = finish_sums,
    .pack_weights = pack_weight_rows,
    .widen = widen,
};

#endif
