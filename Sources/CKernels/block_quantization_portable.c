// Block-wise quantization in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "lanes.h"

// Lane by lane the table's lane `index`, which is below 16.
CK_INLINE ck_floats lookup_16(ck_floats table, ck_words index) {
    float values[CK_LANES];
    store(values, table);
    ck_floats result;
    for (int lane = 0; lane < CK_LANES; lane++) result[lane] = values[index[lane]];
    return result;
}

#include "block_quantization_rows.h"

const ck_block_kernels ck_blocks_portable = CK_BLOCK_KERNELS;
