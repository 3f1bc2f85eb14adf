// One interface over both libraries.

#include "backends.h"

#include <stdlib.h>

struct martlet_unpacker {
    int32_t format;
    void *state;
};

struct martlet_unpacker *martlet_unpacker_open(int32_t format, int32_t *status) {
    struct martlet_unpacker *unpacker = malloc(sizeof *unpacker);
    *status = MARTLET_UNPACK_NO_MEMORY;
    if (unpacker == NULL) return NULL;
    unpacker->format = format;
    unpacker->state = format == MARTLET_UNPACK_ZSTD ? martlet_zstd_open(status) : martlet_zlib_open(status);
    if (unpacker->state == NULL) {
        free(unpacker);
        return NULL;
    }
    *status = MARTLET_UNPACK_MORE;
    return unpacker;
}

int32_t martlet_unpacker_step(struct martlet_unpacker *unpacker, const uint8_t *input, int64_t count,
                              int64_t *consumed, uint8_t *output, int64_t capacity, int64_t *written) {
    struct stretch stretch = {.input = input, .count = count, .output = output, .capacity = capacity};
    int32_t status = unpacker->format == MARTLET_UNPACK_ZSTD ? martlet_zstd_step(unpacker->state, &stretch)
                                                             : martlet_zlib_step(unpacker->state, &stretch);
    *consumed = stretch.consumed;
    *written = stretch.written;
    return status;
}

void martlet_unpacker_close(struct martlet_unpacker *unpacker) {
    if (unpacker == NULL) return;
    if (unpacker->format == MARTLET_UNPACK_ZSTD) {
        martlet_zstd_close(unpacker->state);
    } else {
        martlet_zlib_close(unpacker->state);
    }
    free(unpacker);
}
