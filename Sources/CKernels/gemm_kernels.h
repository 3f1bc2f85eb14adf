// Between the driver of the products of two changing matrices (gemm.c) and the kernels of each instruction set.
//
// Both operands are packed in strips: some lanes (rows of A or columns of B) side by side, [steps][width] dwords. A
// step is one element of k as fp32 or, where the instruction set multiplies pairs, two of them as bf16, the earlier
// one in the low half. The last strip of an operand is narrower; lanes and steps that fill up are zeros.
#ifndef CKERNELS_GEMM_KERNELS_H
#define CKERNELS_GEMM_KERNELS_H

#include "include/gemm.h"

// Rows and columns in the largest register tile of any instruction set.
#define CK_GEMM_MAX_ROWS 12
#define CK_GEMM_MAX_COLUMNS 32
// Columns of B come in multiples of this.
#define CK_GEMM_COLUMN_STEP 16

// How packed elements follow from those in memory.
typedef enum ck_gemm_format {
    CK_GEMM_FLOATS,   // fp32, of bf16 the same values
    CK_GEMM_ROUNDED,  // rounded to bf16, as fp32
    CK_GEMM_PAIRS,    // pairs of bf16
} ck_gemm_format;

// Some neighboring strips of an operand to pack, over a range of k.
typedef struct ck_gemm_strips {
    ck_gemm_format format;
    ck_type type;
    const unsigned char *source;  // the first lane's first element
    int64_t pitch;  // bytes from lane to lane if k is contiguous, else from one k to the next
    bool k_contiguous;
    int64_t lanes;
    int64_t k;
    int width;  // of all strips but the last
    int step;   // what the last strip's width is a multiple of
    unsigned char *packed;
    int64_t strip_bytes;  // from strip to strip
    int64_t first_step;   // where in each strip the packed steps go
} ck_gemm_strips;

// Steps of a product between two looks at the memory ahead.
#define CK_GEMM_LOOK 4

// Memory that will be read soon, fetched into the second-level cache beside the arithmetic: rows of `width` bytes.
typedef struct ck_gemm_ahead {
    const unsigned char *at, *end;  // in the current row
    int64_t rows;  // after it
    int64_t width, pitch;
    int64_t rate, due;  // bytes to fetch every CK_GEMM_LOOK steps, and what is left over of them
} ck_gemm_ahead;

// The product of one strip of A and one of B: sums [rows][CK_GEMM_MAX_COLUMNS], all of them.
typedef struct ck_gemm_tile {
    int rows;     // a multiple of row_step
    int columns;  // a multiple of CK_GEMM_COLUMN_STEP
    int64_t steps;
    const void *a, *b;
    float *sums;
    ck_gemm_ahead *ahead;
    // The part of C that will be met soon, `c_lines` cache lines in each of `rows` rows.
    unsigned char *c;
    int64_t c_pitch;
    int c_lines;
} ck_gemm_tile;

// result = addend + (alpha sums + bias); without an addend or a bias, less.
typedef struct ck_gemm_finish {
    const float *sums;
    int rows, columns;
    float alpha;
    const float *bias;  // or NULL
    ck_type addend_type;
    const unsigned char *addend;  // or NULL
    int64_t addend_pitch;
    ck_type result_type;
    unsigned char *result;
    int64_t result_pitch;
} ck_gemm_finish;

typedef struct ck_gemm_kernels {
    int rows, row_step;  // of a strip of A
    int columns;         // of a strip of B
    bool pairs;          // whether bf16 is multiplied in pairs
    void (*pack)(const ck_gemm_strips *strips);
    void (*multiply_f32)(const ck_gemm_tile *tile);
    void (*multiply_pairs)(const ck_gemm_tile *tile);  // NULL without `pairs`
    void (*finish)(const ck_gemm_finish *finish);
} ck_gemm_kernels;

extern const ck_gemm_kernels ck_gemm_portable;
#if defined(__x86_64__)
extern const ck_gemm_kernels ck_gemm_avx2, ck_gemm_avx512, ck_gemm_avx512_bf16;
#endif

#endif
