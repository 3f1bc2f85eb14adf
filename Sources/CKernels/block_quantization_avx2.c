// Block-wise quantization with AVX2.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "lanes.h"

// Lane by lane the table's lane `index`, which is below 16: of both halves of the table what the index's lower three
// bits say, and by its fourth bit, made the sign, one of them.
CK_INLINE ck_floats lookup_16(ck_floats table, ck_words index) {
    __m256 tables[2], results[2];
    __m256i indices[2];
    memcpy(tables, &table, sizeof tables);
    memcpy(indices, &index, sizeof indices);
    for (int half = 0; half < 2; half++) {
        __m256 low = _mm256_permutevar8x32_ps(tables[0], indices[half]);
        __m256 high = _mm256_permutevar8x32_ps(tables[1], indices[half]);
        results[half] = _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(indices[half], 28)));
    }
    memcpy(&table, results, sizeof table);
    return table;
}

#include "block_quantization_rows.h"

#pragma clang attribute pop

const ck_block_kernels ck_blocks_avx2 = CK_BLOCK_KERNELS;

#endif
