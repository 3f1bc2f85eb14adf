// Conversions between element types, free of branches so that the compiler makes vector code of the loops.

#include "include/convert.h"

#include <string.h>

// Some steps lean on the rounding of a sum or product of its own: nothing may be contracted.
#pragma STDC FP_CONTRACT OFF

static inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

int64_t ck_type_bytes(ck_type type) {
    switch (type) {
    case CK_F32: return 4;
    case CK_BF16:
    case CK_F16: return 2;
    case CK_F8_E4M3:
    case CK_I8: return 1;
    }
    return 0;
}

// A half's exponent and fraction, read as a float's, are the value times 2^-112; the product undoes that exactly,
// subnormals too. Exponent 31 stands for infinity and NaN, which need the float's own largest exponent.
static inline float from_f16(uint16_t half) {
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    uint32_t finite = bits_of(float_of(magnitude) * 0x1p112f);
    uint32_t special = magnitude | 0x7f800000;
    uint32_t bits = magnitude >= 0x7c00u << 13 ? special : finite;
    return float_of(bits | (uint32_t)(half & 0x8000) << 16);
}

// Rounding to a fraction of 10 bits, or to a multiple of 2^-24 for subnormal halves, is left to the adder: adding
// and taking away the right power of two rounds to nearest even at that place.
static inline uint16_t to_f16(float value) {
    uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
    uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000;
    uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
    uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
    half = magnitude >= 0x477ff000 ? 0x7c00 : half;  // 65520 and above
    half = magnitude > 0x7f800000 ? (0x7e00 | (magnitude >> 13 & 0x3ff)) : half;
    return (uint16_t)(half | (bits >> 16 & 0x8000));
}

static inline uint16_t to_bf16(float value) {
    uint32_t bits = bits_of(value);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

// E4M3 (Micikevicius et al., arXiv:2209.05433): bias 7, no infinity, NaN is all ones below the sign. As with halves,
// shifting and a product by a power of two do all but that.
static inline float from_f8(uint8_t byte) {
    uint32_t magnitude = (uint32_t)(byte & 0x7f) << 20;
    uint32_t finite = bits_of(float_of(magnitude) * 0x1p120f);
    uint32_t bits = (byte & 0x7f) == 0x7f ? 0x7fc00000 : finite;
    return float_of(bits | (uint32_t)(byte & 0x80) << 24);
}

static inline uint8_t to_f8(float value) {
    uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
    // Below 2^-6 codes are multiples of 2^-9: adding 2^14 leaves just those bits.
    uint32_t subnormal = bits_of(float_of(magnitude) + 16384.0f) - 0x46800000;
    uint32_t normal = (magnitude + 0x7ffff + (magnitude >> 20 & 1) - 0x3c000000) >> 20;
    uint32_t code = magnitude < 0x3c800000 ? subnormal : normal;
    code = magnitude >= 0x43e00000 ? 0x7e : code;  // 448 and above
    code = magnitude > 0x7f800000 ? 0x7f : code;
    return (uint8_t)(code | (bits >> 24 & 0x80));
}

void ck_to_f32(ck_type type, const void *source, float *destination, int64_t count) {
    const unsigned char *bytes = source;
    switch (type) {
    case CK_F32:
        if (count > 0) memcpy(destination, source, (size_t)count * sizeof(float));
        break;
    case CK_BF16:
        for (int64_t i = 0; i < count; i++) {
            uint16_t word;
            memcpy(&word, bytes + 2 * i, sizeof word);
            destination[i] = float_of((uint32_t)word << 16);
        }
        break;
    case CK_F16:
        for (int64_t i = 0; i < count; i++) {
            uint16_t word;
            memcpy(&word, bytes + 2 * i, sizeof word);
            destination[i] = from_f16(word);
        }
        break;
    case CK_F8_E4M3:
        for (int64_t i = 0; i < count; i++) destination[i] = from_f8(bytes[i]);
        break;
    case CK_I8:
        for (int64_t i = 0; i < count; i++) destination[i] = (int8_t)bytes[i];
        break;
    }
}

void ck_from_f32(ck_type type, const float *source, void *destination, int64_t count) {
    unsigned char *bytes = destination;
    switch (type) {
    case CK_F32:
        if (count > 0) memcpy(destination, source, (size_t)count * sizeof(float));
        break;
    case CK_BF16:
        for (int64_t i = 0; i < count; i++) {
            uint16_t word = to_bf16(source[i]);
            memcpy(bytes + 2 * i, &word, sizeof word);
        }
        break;
    case CK_F16:
        for (int64_t i = 0; i < count; i++) {
            uint16_t word = to_f16(source[i]);
            memcpy(bytes + 2 * i, &word, sizeof word);
        }
        break;
    case CK_F8_E4M3:
        for (int64_t i = 0; i < count; i++) bytes[i] = to_f8(source[i]);
        break;
    case CK_I8:
        break;  // needs a scale, see linear.h
    }
}
