// Gram matrices and the factor of their inverse, block by block, so that nearly all of the work is matrix products.

#include "include/quantization.h"

#include <math.h>
#include <string.h>

#include "include/gemm.h"

// Columns of a block, whose own triangle is factored in double precision on one thread.
#define BLOCK 128
// Columns of an update: narrower ones spare more of the half that is not needed, wider ones are faster products.
#define PANEL 512

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static ck_operand operand(const float *data, int64_t stride, bool transposed) {
    return (ck_operand){.type = CK_F32, .data = data, .stride = stride, .transposed = transposed};
}

// c [m, n] = alpha a b, or += that.
static void multiply(ck_pool *pool, int64_t m, int64_t n, int64_t k, float alpha, ck_operand a, ck_operand b,
                     float *c, int64_t stride, bool accumulate, void *scratch) {
    ck_product product = {.precision = CK_PRECISION_F32, .m = m, .n = n, .k = k, .a = a, .b = b, .alpha = alpha,
                          .c_type = CK_F32, .c = c, .c_stride = stride, .accumulate = accumulate};
    ck_gemm(pool, &product, scratch);
}

void ck_accumulate_gram(ck_pool *pool, ck_type type, const void *x, int64_t count, int64_t n, int64_t stride,
                        float alpha, bool bf16, float *c, void *scratch) {
    for (int64_t first = 0; first < n; first += PANEL) {
        const char *start = (const char *)x + first * ck_type_bytes(type);
        ck_operand rows = {.type = type, .data = start, .stride = stride, .transposed = true};
        ck_operand columns = {.type = type, .data = start, .stride = stride};
        ck_product product = {.precision = bf16 ? CK_PRECISION_BF16 : CK_PRECISION_F32,
                              .m = smaller(PANEL, n - first), .n = n - first, .k = count, .a = rows, .b = columns,
                              .alpha = alpha, .c_type = CK_F32, .c = c + first * n + first, .c_stride = n,
                              .accumulate = true};
        ck_gemm(pool, &product, scratch);
    }
}

// Columns of a piece of work on magnitudes.
#define STRIP 64

typedef struct magnitudes {
    ck_type type;
    const char *x;
    int64_t count, n, stride;
    double *sums;
} magnitudes;

static void add_magnitudes(void *context, int64_t chunk, int worker) {
    (void)worker;
    const magnitudes *task = context;
    int64_t first = chunk * STRIP, width = smaller(STRIP, task->n - first), bytes = ck_type_bytes(task->type);
    float values[STRIP];
    double sums[STRIP] = {0};
    for (int64_t row = 0; row < task->count; row++) {
        ck_to_f32(task->type, task->x + (row * task->stride + first) * bytes, values, width);
        for (int64_t i = 0; i < width; i++) sums[i] += fabsf(values[i]);
    }
    for (int64_t i = 0; i < width; i++) task->sums[first + i] += sums[i];
}

void ck_accumulate_magnitudes(ck_pool *pool, ck_type type, const void *x, int64_t count, int64_t n, int64_t stride,
                              double *sums) {
    magnitudes task = {type, x, count, n, stride, sums};
    if (count > 0 && n > 0) ck_pool_run(pool, (n + STRIP - 1) / STRIP, add_magnitudes, &task);
}

typedef struct square {
    float *values;
    int64_t n;
} square;

static void mirror_rows(void *context, int64_t chunk, int worker) {
    (void)worker;
    const square *matrix = context;
    int64_t n = matrix->n, first = chunk * BLOCK, end = smaller(first + BLOCK, n);
    // By tiles, as one side is read along its columns.
    for (int64_t across = 0; across < end; across += BLOCK) {
        for (int64_t row = first; row < end; row++) {
            for (int64_t column = across; column < smaller(across + BLOCK, row); column++) {
                matrix->values[row * n + column] = matrix->values[column * n + row];
            }
        }
    }
}

void ck_mirror_upper(ck_pool *pool, float *c, int64_t n) {
    square matrix = {c, n};
    if (n > 0) ck_pool_run(pool, (n + BLOCK - 1) / BLOCK, mirror_rows, &matrix);
}

// Cholesky of a block in double precision: the lower triangle of a [count, count] becomes L, zeros above.
static bool factor_block(double *a, int64_t count) {
    for (int64_t j = 0; j < count; j++) {
        double pivot = a[j * count + j];
        for (int64_t k = 0; k < j; k++) pivot -= a[j * count + k] * a[j * count + k];
        if (!(pivot > 0) || isinf(pivot)) return false;
        double diagonal = sqrt(pivot);
        a[j * count + j] = diagonal;
        for (int64_t i = j + 1; i < count; i++) {
            double sum = a[i * count + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * count + k] * a[j * count + k];
            a[i * count + j] = sum / diagonal;
        }
        for (int64_t i = 0; i < j; i++) a[i * count + j] = 0;
    }
    return true;
}

// The inverse of a lower triangular l, by forward substitution for each column.
static void invert_block(const double *l, int64_t count, double *inverse) {
    memset(inverse, 0, (size_t)(count * count) * sizeof(double));
    for (int64_t row = 0; row < count; row++) {
        for (int64_t column = 0; column <= row; column++) {
            double sum = row == column ? 1 : 0;
            for (int64_t k = column; k < row; k++) sum -= l[row * count + k] * inverse[k * count + column];
            inverse[row * count + column] = sum / l[row * count + row];
        }
    }
}

// What a factorization works with besides the matrix.
typedef struct work {
    ck_pool *pool;
    float *inverses;  // of the diagonal blocks, [blocks, BLOCK, BLOCK]
    float *row;       // [BLOCK, n], or a panel [n, BLOCK]
    double *block;    // two of [BLOCK, BLOCK]: thread-local arrays of that size would slow each thread's start
    void *scratch;    // of the products
} work;

// L of the block at `first`, and its inverse; `block` is room for two of them.
static bool factor_diagonal(float *a, int64_t n, int64_t first, float *inverse, double *block) {
    double *inverted = block + BLOCK * BLOCK;
    int64_t count = smaller(BLOCK, n - first);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < count; j++) block[i * count + j] = a[(first + i) * n + first + j];
    }
    if (!factor_block(block, count)) return false;
    invert_block(block, count, inverted);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < count; j++) {
            a[(first + i) * n + first + j] = (float)block[i * count + j];
            inverse[i * count + j] = (float)inverted[i * count + j];
        }
    }
    return true;
}

// The lower triangle of a becomes L with a = L L'; what is above the blocks of the diagonal stays.
static bool factor(float *a, int64_t n, const work *work) {
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t count = smaller(BLOCK, n - first), below = first + count;
        float *inverse = work->inverses + first * BLOCK;
        if (!factor_diagonal(a, n, first, inverse, work->block)) return false;
        if (below == n) break;
        // The rows below: A L^-T.
        float *panel = a + below * n + first;
        multiply(work->pool, n - below, count, count, 1, operand(panel, n, false), operand(inverse, count, true),
                 work->row, count, false, work->scratch);
        for (int64_t i = 0; i < n - below; i++) {
            memcpy(panel + i * n, work->row + i * count, (size_t)count * sizeof(float));
        }
        for (int64_t column = below; column < n; column += PANEL) {
            const float *rows = work->row + (column - below) * count;
            multiply(work->pool, n - column, smaller(PANEL, n - column), count, -1, operand(rows, count, false),
                     operand(rows, count, true), a + column * n + column, n, true, work->scratch);
        }
    }
    return true;
}

// The lower triangle of l becomes that of L^-1: block row i is -L_ii^-1 times L's row times the rows done before.
static void invert(float *l, int64_t n, const work *work) {
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t count = smaller(BLOCK, n - first);
        const float *inverse = work->inverses + first * BLOCK;
        float *row = l + first * n;
        // Columns of the rows before are zero above their diagonal, so each panel's sum begins at its own first row.
        for (int64_t column = 0; column < first; column += PANEL) {
            multiply(work->pool, count, smaller(PANEL, first - column), first - column, 1,
                     operand(row + column, n, false), operand(l + column * n + column, n, false),
                     work->row + column, n, false, work->scratch);
        }
        if (first > 0) {
            multiply(work->pool, count, first, count, -1, operand(inverse, count, false),
                     operand(work->row, n, false), row, n, false, work->scratch);
        }
        for (int64_t i = 0; i < count; i++) {
            memcpy(row + i * n + first, inverse + i * count, (size_t)count * sizeof(float));
            memset(row + i * n + first + count, 0, (size_t)(n - first - count) * sizeof(float));
        }
    }
}

typedef struct reversal {
    float *values;
    int64_t count;
} reversal;

#define REVERSED_ELEMENTS 65536

static void reverse_part(void *context, int64_t chunk, int worker) {
    (void)worker;
    const reversal *reversal = context;
    int64_t end = smaller((chunk + 1) * REVERSED_ELEMENTS, reversal->count / 2);
    for (int64_t i = chunk * REVERSED_ELEMENTS; i < end; i++) {
        float *other = reversal->values + reversal->count - 1 - i, value = reversal->values[i];
        reversal->values[i] = *other;
        *other = value;
    }
}

// Rows and columns in the opposite order: all elements are.
static void reverse(ck_pool *pool, float *values, int64_t n) {
    reversal reversal = {values, n * n};
    ck_pool_run(pool, (n * n / 2 + REVERSED_ELEMENTS - 1) / REVERSED_ELEMENTS, reverse_part, &reversal);
}

static int64_t up_to_line(int64_t bytes) { return (bytes + 63) / 64 * 64; }

size_t ck_inverse_upper_factor_scratch_bytes(int64_t n, int threads) {
    int64_t blocks = (n + BLOCK - 1) / BLOCK;
    return (size_t)(up_to_line(blocks * BLOCK * BLOCK * 4) + up_to_line(n * BLOCK * 4) +
                    up_to_line(2 * BLOCK * BLOCK * (int64_t)sizeof(double))) +
           ck_gemm_scratch_bytes(threads);
}

// With J reversing the order, J h J = L L' makes h = R R' for the upper triangular R = J L J, so that
// h^-1 = (R^-1)' R^-1: one factorization and one inverse of a triangle, where the usual way has to make h^-1 itself.
bool ck_inverse_upper_factor(ck_pool *pool, float *h, int64_t n, void *scratch) {
    if (n <= 0) return true;
    char *next = scratch;
    work work = {.pool = pool, .inverses = (float *)next};
    next += up_to_line((n + BLOCK - 1) / BLOCK * BLOCK * BLOCK * 4);
    work.row = (float *)next;
    next += up_to_line(n * BLOCK * 4);
    work.block = (double *)next;
    next += up_to_line(2 * BLOCK * BLOCK * (int64_t)sizeof(double));
    work.scratch = next;
    // The upper triangle, in the opposite order, is the lower one.
    reverse(pool, h, n);
    if (!factor(h, n, &work)) return false;
    invert(h, n, &work);
    reverse(pool, h, n);
    return true;
}
