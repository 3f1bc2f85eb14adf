// Attention in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "lanes.h"

#define CK_TILE_COLUMNS 1
#define CK_PAIR_FLOATS 2
#if defined(__aarch64__)
#define CK_TILE_ROWS 4
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}
#else
// Eight registers of sums, as a fused operation would be a call here.
#define CK_TILE_ROWS 2
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) { return a * b + sum; }
#endif

#include "attention_tile.h"

const ck_attention_kernels ck_attention_portable = {attend_f32, attend_bf16};
