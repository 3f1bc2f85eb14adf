// What the two libraries have in common behind an unpacker: open, step, close. All private to this target.

#ifndef MARTLET_COMPRESSION_BACKENDS_H
#define MARTLET_COMPRESSION_BACKENDS_H

#include "include/CCompression.h"

struct stretch {
    const uint8_t *input;
    int64_t count;
    int64_t consumed;
    uint8_t *output;
    int64_t capacity;
    int64_t written;
};

/// NULL and a status if the library is missing or memory ended.
void *martlet_zlib_open(int32_t *status);
int32_t martlet_zlib_step(void *state, struct stretch *stretch);
void martlet_zlib_close(void *state);

/// As above.
void *martlet_zstd_open(int32_t *status);
int32_t martlet_zstd_step(void *state, struct stretch *stretch);
void martlet_zstd_close(void *state);

#endif
