// Conversions between element types. All round to nearest, ties to even; NaN stays NaN.
#ifndef CKERNELS_CONVERT_H
#define CKERNELS_CONVERT_H

#include <stdint.h>

// The element types of stored tensors, as safetensors names them.
typedef enum ck_type {
    CK_F32 = 0,
    CK_BF16 = 1,
    CK_F16 = 2,
    CK_F8_E4M3 = 3,
    CK_I8 = 4,
} ck_type;

// Bytes of one element.
int64_t ck_type_bytes(ck_type type);

// `count` elements of `type` at `source` (any alignment) as floats.
void ck_to_f32(ck_type type, const void *source, float *destination, int64_t count);

// `count` floats as elements of F32, BF16, F16 or F8_E4M3 (which saturates at 448).
void ck_from_f32(ck_type type, const float *source, void *destination, int64_t count);

#endif
