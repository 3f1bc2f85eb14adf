// Unpacks gzip, zlib and Zstandard data through the system's libraries, which are opened on first use: a program that
// never meets such data does without them, and building needs none of their headers.

#ifndef MARTLET_CCOMPRESSION_H
#define MARTLET_CCOMPRESSION_H

// Only fixed-width types: a header of the C library included here would make Swift count its types as ours.
#include <stdint.h>

enum martlet_unpack_format {
    MARTLET_UNPACK_GZIP = 0,  // a gzip member or a zlib stream, told apart by its first bytes
    MARTLET_UNPACK_ZSTD = 1,  // a Zstandard frame
};

enum martlet_unpack_status {
    MARTLET_UNPACK_MORE = 0,        // the input is used up or the output is full
    MARTLET_UNPACK_END = 1,         // the member or frame is complete; input that follows begins another one
    MARTLET_UNPACK_CORRUPT = 2,
    MARTLET_UNPACK_NO_LIBRARY = 3,  // the library is not installed
    MARTLET_UNPACK_NO_MEMORY = 4,
};

/// A stream that is being unpacked. One thread at a time may use it.
struct martlet_unpacker;

/// Begins a stream. NULL if that cannot be done, the reason being in `status`.
struct martlet_unpacker *martlet_unpacker_open(int32_t format, int32_t *status);

/// Unpacks as much as there is input for and the output has room for. Never writes more than `capacity` bytes.
///
/// - `consumed`, `written`: how many bytes of input were used and of output filled, also after an error.
/// - Returns a `martlet_unpack_status`.
int32_t martlet_unpacker_step(struct martlet_unpacker *unpacker, const uint8_t *input, int64_t count,
                              int64_t *consumed, uint8_t *output, int64_t capacity, int64_t *written);

/// Frees what `martlet_unpacker_open` returned.
void martlet_unpacker_close(struct martlet_unpacker *unpacker);

#endif
