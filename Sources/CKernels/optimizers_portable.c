// The optimizers in the instructions that every processor of the architecture has: plain C, or NEON on Arm.

#include "lanes.h"

// Lane by lane the word of 32 bits that the table of `entries` has at `index`.
CK_INLINE ck_words lookup(const void *table, int entries, ck_words index) {
    (void)entries;
    ck_words result;
    for (int lane = 0; lane < CK_LANES; lane++) result[lane] = ((const int32_t *)table)[index[lane]];
    return result;
}

#include "optimizers_elements.h"

const ck_optimizer_kernels ck_optimizers_portable = CK_OPTIMIZER_KERNELS;
