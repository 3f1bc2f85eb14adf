// The dynamic 8-bit codes of Dettmers et al., arXiv:2110.02861: for each power of ten from 1e-6 to 1 twice as many
// values as for the one below, evenly spaced, and 0 and 1. Of the 256 the signed code spends half on negative numbers.
#ifndef CKERNELS_OPTIMIZERS_CODES_H
#define CKERNELS_OPTIMIZERS_CODES_H

#include <stdint.h>
#include <string.h>

// The signed code of 0.
#define CK_SIGNED_ZERO 127

// Octaves of floats that tables know, by exponent: below the first there is only 0, from the last on only 1.
#define CK_LOWEST_EXPONENT (127 - 24)
#define CK_OCTAVES 32
// 0, seven powers of ten, and 1, each evenly spaced in itself.
#define CK_DECADES 16

// How to find the number of the magnitude that is nearest to a float: an octave begins in one decade, and in some the
// next one follows; in a decade the number is a linear function, rounded, and at most `last`.
typedef struct ck_magnitudes {
    int32_t decades[CK_OCTAVES];
    float borders[CK_OCTAVES];
    float slopes[CK_DECADES], intercepts[CK_DECADES], last[CK_DECADES];
} ck_magnitudes;

typedef struct ck_dynamic_codes {
    // Ascending, as the codes are: of the signed code CK_SIGNED_ZERO is 0, of the unsigned one 0.
    float signed_values[256], unsigned_values[256];
    ck_magnitudes signed_magnitudes, unsigned_magnitudes;
} ck_dynamic_codes;

// Made at the first call.
const ck_dynamic_codes *ck_get_dynamic_codes(void);

#endif
