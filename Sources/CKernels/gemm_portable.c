// Matrix products in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "lanes.h"

#define CK_TILE_VECTORS 1
#define CK_ROW_STEP 2
#if defined(__aarch64__)
#define CK_TILE_ROWS 6
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) {
    return __builtin_elementwise_fma(a, b, sum);
}
#else
// Eight registers of sums, as a fused operation would be a call here.
#define CK_TILE_ROWS 2
CK_INLINE ck_floats multiply_add(ck_floats a, ck_floats b, ck_floats sum) { return a * b + sum; }
#endif

#include "gemm_pack.h"
#include "gemm_tile.h"

const ck_gemm_kernels ck_gemm_portable = {
    .rows = CK_TILE_ROWS, .row_step = CK_ROW_STEP, .columns = CK_TILE_VECTORS * CK_LANES,
    .pack = pack_strips, .multiply_f32 = multiply_f32, .finish = finish_tile,
};
