// What the kernels of attention, of inference and of training, do with whole vectors. A file that includes this
// one says before what multiply_add is.
#ifndef CKERNELS_ATTENTION_LANES_H
#define CKERNELS_ATTENTION_LANES_H

#include "lanes.h"

// 2^x, 0 below 2^-126, by a polynomial for the fraction with a relative error of 9e-8.
CK_INLINE ck_floats power_of_two(ck_floats x) {
    ck_floats rounded = x + CK_ROUNDING;
    ck_floats r = x - (rounded - CK_ROUNDING);
    ck_floats p = multiply_add(r, all_lanes(0x1.5bba14p-10f), all_lanes(0x1.3cea88p-7f));
    p = multiply_add(p, r, all_lanes(0x1.c6b752p-5f));
    p = multiply_add(p, r, all_lanes(0x1.ebf9bcp-3f));
    p = multiply_add(p, r, all_lanes(0x1.62e42ap-1f));
    p = multiply_add(p, r, all_lanes(1.0f));
    return choose(x < -126.0f, all_lanes(0), scaled(p, rounded));
}

// Rounded to bf16, kept as floats. NaN stays NaN: it is quiet, and its upper half is kept.
CK_INLINE ck_floats rounded_to_bf16(ck_floats v) {
    ck_words bits = (ck_words)v;
    ck_words nearest = (bits + 0x7fff + (bits >> 16 & 1)) & (int32_t)0xffff0000;
    return choose(v == v, (ck_floats)nearest, v);
}

#endif
