// Training's attention in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "lanes.h"

#define CK_TILE_COLUMNS 1
#define CK_PAIRS 0
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

#include "training_attention_backward.h"
#include "training_attention_forward.h"

const ck_train_attention_kernels ck_train_attention_portable = {forward, backward, gather};
