// Makes the tables of the dynamic 8-bit codes, once. The values are bit for bit those of bitsandbytes, which come out
// of single precision with a fused operation.

#include "optimizers_codes.h"

#include <math.h>
#include <pthread.h>

#define POWERS 7

static ck_dynamic_codes codes;

// Ascending magnitudes: 0, `first_items` values between 1e-7 and 1e-6, twice as many for each higher power, and 1.
// Returns how many.
static int make_values(int first_items, float magnitudes[256]) {
    static const float powers[POWERS] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1};
    int count = 0, items = first_items;
    magnitudes[count++] = 0;
    for (int power = 0; power < POWERS; power++) {
        float step = (1.0f - 0.1f) / (float)items;
        float last = 0.1f;
        for (int k = 1; k <= items; k++) {
            // A value is the middle between two of items + 1 numbers from 0.1 to 1, counted from the nearer end. A
            // double holds the product and the sum of the two floats, which are rounded once.
            float next = k < (items + 1) / 2 ? (float)((double)step * k + (double)0.1f)
                                             : (float)(1.0 - (double)step * (items - k));
            magnitudes[count++] = powers[power] * ((last + next) / 2);
            last = next;
        }
        items *= 2;
    }
    magnitudes[count++] = 1;
    return count;
}

// Decade 0 is the number 0 alone; the last one is 1 alone.
static void make_magnitudes(int first_items, const float *values, ck_magnitudes *magnitudes) {
    float borders[POWERS + 1];
    int first = 1, items = first_items;
    for (int power = 0; power < POWERS; power++) {
        borders[power] = (float)(((double)values[first - 1] + (double)values[first]) / 2);
        // Value number first + k is (0.1 + 0.9 (k + 1/2) / items) times the power.
        double slope = items / 0.9 / pow(10, power - 6);
        magnitudes->slopes[power + 1] = (float)slope;
        magnitudes->intercepts[power + 1] = (float)(first - 0.5 - items / 9.0);
        magnitudes->last[power + 1] = (float)(first + items - 1);
        first += items;
        items *= 2;
    }
    borders[POWERS] = (float)(((double)values[first - 1] + 1) / 2);
    magnitudes->intercepts[POWERS + 1] = magnitudes->last[POWERS + 1] = (float)first;
    for (int octave = 0, decade = 0; octave < CK_OCTAVES; octave++) {
        float begin = ldexpf(1, CK_LOWEST_EXPONENT - 127 + octave);
        while (decade <= POWERS && borders[decade] < begin) decade++;
        magnitudes->decades[octave] = decade;
        magnitudes->borders[octave] = decade <= POWERS ? borders[decade] : INFINITY;
    }
}

static void make_codes(void) {
    float values[256];
    int count = make_values(1, values);
    for (int i = 0; i < count; i++) {
        // There is no -1: its code would be one before the first.
        if (i < count - 1) codes.signed_values[CK_SIGNED_ZERO - i] = -values[i];
        codes.signed_values[CK_SIGNED_ZERO + i] = values[i];
    }
    make_magnitudes(1, values, &codes.signed_magnitudes);
    make_values(2, codes.unsigned_values);
    make_magnitudes(2, codes.unsigned_values, &codes.unsigned_magnitudes);
}

const ck_dynamic_codes *ck_get_dynamic_codes(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_codes);
    return &codes;
}
