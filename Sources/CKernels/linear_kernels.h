// Between the driver of the matrix products (linear.c) and the kernels of each instruction set.
//
// Packed weights are panels of 48 outputs, the last one narrower: 16, 32 or 48, filled up with zeros. A panel of
// width W holds, for each step along k, W "dwords" of 4 bytes: F32 [k][W], BF16 [k/2][W][2], I8 [k/4][W][4] as
// code + 128, F8 [k/4][W][4], I4 [k/8][W][4] with the codes of k = 8j...8j+3 in the low and of 8j+4...8j+7 in the high
// nibbles; F16 is [k][W] of 2 bytes. Scales are [groups][W] floats and zero points [groups][W] bytes a panel.
//
// Where the products are not the format's own, a range of a panel is first widened to the panel that it would be in
// the products' format, in memory that stays in a cache, and then multiplied like any other.
//
// Rows of activations are packed in blocks of at most 8 or 16, as dwords too: [steps][rows], so that a kernel reads
// both operands in one stream each; only AMX has them row by row. Each sum of products starts at zero and goes up
// along k, whatever the size of the tile: this makes a row's result independent of the rows beside it.
#ifndef CKERNELS_LINEAR_KERNELS_H
#define CKERNELS_LINEAR_KERNELS_H

#include "include/linear.h"

#define CK_PANEL 48        // outputs in a panel
#define CK_COLUMNS 16      // a panel's width is a multiple of this
#define CK_MAX_BLOCK 16    // rows in the largest block of any instruction set
#define CK_SUMS_PITCH CK_PANEL

// Fetches a line of weights into the second-level cache: the first one can wait for a few lines at a time only, which
// keeps memory idle, while a line from the second is there in some cycles.
#define CK_FETCH(address) __builtin_prefetch(address, 0, 2)

// The product of one block of rows and one panel over a range of k, added to or starting `sums`. All pointers are
// to the beginning of the range, which is at a multiple of 128.
typedef struct ck_tile {
    int rows;       // 1 ... block_rows
    int width;      // 16, 32 or 48
    int64_t count;  // elements of k
    bool continues;  // whether `sums` has the sums of smaller k
    const unsigned char *weights;
    const unsigned char *rows_packed;
    int64_t row_bytes;  // from row to row, where they are not interleaved
    float *sums;    // [rows][pitch]
    int64_t pitch;
    // What to prefetch while computing: some cache lines from `ahead` on, which moves by `ahead_step` bytes for
    // each step of dwords.
    const unsigned char *ahead;
    int64_t ahead_step;
    // I8 and I4 only:
    int64_t group;
    const float *scales;       // [groups][width]
    const uint8_t *zeros;      // [groups][width], or NULL where `row_corrections` has them already
    const float *row_scales;   // [groups][rows]
    const int32_t *row_corrections;  // [groups][rows], minus the zero point times the sum of the row's codes
} ck_tile;

// A block of rows to pack, or elements [from, end) of them; `from` is a multiple of 1024.
typedef struct ck_block {
    const float *x;
    int64_t stride;
    int rows;
    int64_t from, end;
    int64_t group;
    int32_t zero_point;  // what `row_corrections` counts in
    unsigned char *packed;
    int64_t row_bytes;  // from row to row, where they are not interleaved
    float *row_scales;
    int32_t *row_corrections;
} ck_block;

// What to do with finished sums: y = sums + bias, or y += that.
typedef struct ck_finish {
    const float *sums;  // [rows][CK_SUMS_PITCH]
    int rows;
    int columns;
    const float *bias;  // of the first column, or NULL
    float *y;
    int64_t stride;
    bool accumulate;
} ck_finish;

// Elements of k that are widened at a time, at most. A multiple of 128.
#define CK_WIDENED 256

// A range of a panel to widen.
typedef struct ck_widening {
    ck_weight_format format, products;
    int width;
    int64_t from, count;     // of k; `from` is a multiple of 128, `count` at most CK_WIDENED
    int64_t group;           // a multiple of 8, or at least k
    const int32_t *group_of;  // [k], or NULL
    const unsigned char *weights;  // at `from`
    const float *scales;   // the panel's, [groups][width]
    const uint8_t *zeros;  // the panel's, [groups][width], or NULL for `zero` everywhere
    int32_t zero;
    unsigned char *panel;  // 64-byte aligned room for CK_WIDENED elements of each column
} ck_widening;

// At most 16 rows of weights that go into neighboring columns of a panel. `codes`, `scales` and `zeros` are given
// instead of `source` where the rows are quantized already.
typedef struct ck_weight_rows {
    ck_weight_format format;
    int rows;
    int64_t k;
    int64_t group;
    ck_type type;
    const unsigned char *source;
    const uint8_t *codes;
    const float *code_scales;
    const uint8_t *code_zeros;
    int64_t stride;  // elements from row to row of `source` or `codes`
    int width;       // of the panel
    unsigned char *weights;  // the panel's, at the first row's column
    float *scales;
    uint8_t *zeros;
} ck_weight_rows;

typedef struct ck_linear_kernels {
    // All by the format of the products. The rows of a block; whether they are packed row by row; and the bytes of a
    // packed element.
    int block_rows[5];
    bool row_major[5];
    int packed_bytes[5];
    void (*pack_rows[5])(const ck_block *block);
    void (*multiply[5])(const ck_tile *tile);
    void (*finish)(const ck_finish *finish);
    void (*pack_weights)(const ck_weight_rows *rows);
    void (*widen)(const ck_widening *widening);
} ck_linear_kernels;

extern const ck_linear_kernels ck_linear_portable;
#if defined(__x86_64__)
extern const ck_linear_kernels ck_linear_avx2, ck_linear_avx512, ck_linear_avx512_vnni, ck_linear_avx512_bf16,
    ck_linear_amx;
// What a later instruction set takes over from an earlier one.
void ck_multiply_f32_avx512(const ck_tile *tile);
void ck_multiply_f16_avx512(const ck_tile *tile);
void ck_multiply_int8_avx2(const ck_tile *tile);
void ck_multiply_int4_avx2(const ck_tile *tile);
void ck_multiply_int8_vnni(const ck_tile *tile);
void ck_multiply_int4_vnni(const ck_tile *tile);
void ck_widen_avx512_bf16(const ck_widening *widening);
#elif defined(__aarch64__)
extern const ck_linear_kernels ck_linear_neon;
#endif

#endif
