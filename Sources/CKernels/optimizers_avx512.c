// The optimizers with AVX-512.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "lanes.h"

// Lane by lane the word of 32 bits that the table of `entries`, a constant, has at `index`: 16 or 32 entries are one
// permutation, and more than 32 are halved until they are no more. A gather takes longer even of 256.
CK_INLINE ck_words lookup(const void *table, int entries, ck_words index) {
    const int32_t *words = table;
    __m512i lanes = (__m512i)index;
    if (entries == 16) return (ck_words)_mm512_permutexvar_epi32(lanes, _mm512_loadu_si512(words));
    __m512i parts[8];
    for (int part = 0; part < entries / 32; part++) {
        parts[part] = _mm512_permutex2var_epi32(_mm512_loadu_si512(words + 32 * part), lanes,
                                                _mm512_loadu_si512(words + 32 * part + 16));
    }
    for (int bit = 5, left = entries / 32; left > 1; bit++, left /= 2) {
        __mmask16 upper = _mm512_test_epi32_mask(lanes, _mm512_set1_epi32(1 << bit));
        for (int part = 0; part < left / 2; part++) {
            parts[part] = _mm512_mask_blend_epi32(upper, parts[2 * part], parts[2 * part + 1]);
        }
    }
    return (ck_words)parts[0];
}

#include "optimizers_elements.h"

#pragma clang attribute pop

const ck_optimizer_kernels ck_optimizers_avx512 = CK_OPTIMIZER_KERNELS;

#endif
