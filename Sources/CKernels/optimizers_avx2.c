// The optimizers with AVX2.

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "lanes.h"

// Eight entries are one permutation; more are halved by a bit of the index, made the sign, until they are no more.
CK_INLINE __m256i lookup_half(const int32_t *words, int entries, __m256i lanes) {
    if (entries > 32) return _mm256_i32gather_epi32(words, lanes, 4);
    __m256 parts[4];
    for (int part = 0; part < entries / 8; part++) {
        parts[part] = _mm256_permutevar8x32_ps(_mm256_loadu_ps((const float *)words + 8 * part), lanes);
    }
    for (int bit = 3, left = entries / 8; left > 1; bit++, left /= 2) {
        __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(lanes, 31 - bit));
        for (int part = 0; part < left / 2; part++) {
            parts[part] = _mm256_blendv_ps(parts[2 * part], parts[2 * part + 1], upper);
        }
    }
    return _mm256_castps_si256(parts[0]);
}

// Lane by lane the word of 32 bits that the table of `entries`, a constant, has at `index`.
CK_INLINE ck_words lookup(const void *table, int entries, ck_words index) {
    __m256i halves[2];
    memcpy(halves, &index, sizeof halves);
    for (int half = 0; half < 2; half++) halves[half] = lookup_half(table, entries, halves[half]);
    memcpy(&index, halves, sizeof halves);
    return index;
}

#include "optimizers_elements.h"

#pragma clang attribute pop

const ck_optimizer_kernels ck_optimizers_avx2 = CK_OPTIMIZER_KERNELS;

#endif
