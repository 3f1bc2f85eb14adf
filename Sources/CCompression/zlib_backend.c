// DEFLATE through libz.so.1. The prototypes follow its documented binary interface, which has not changed since 1.2.0.

#include "backends.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct zlib_stream {
    const uint8_t *next_in;
    unsigned int avail_in;
    unsigned long total_in;
    uint8_t *next_out;
    unsigned int avail_out;
    unsigned long total_out;
    const char *msg;
    void *state;
    void *zalloc;  // NULL: malloc and free
    void *zfree;
    void *opaque;
    int data_type;
    unsigned long adler;
    unsigned long reserved;
};

enum { ZLIB_OK = 0, ZLIB_STREAM_END = 1, ZLIB_MEMORY = -4, ZLIB_BUFFER = -5, ZLIB_NO_FLUSH = 0 };
// The largest window, plus 32: gzip or zlib, as the first bytes say.
enum { ZLIB_WINDOW_BITS = 15 + 32 };
// What one call may be given: the library counts in unsigned int.
static const int64_t largest_stretch = 1 << 30;

static struct {
    int (*init)(struct zlib_stream *, int, const char *, int);
    int (*inflate)(struct zlib_stream *, int);
    int (*reset)(struct zlib_stream *);
    int (*end)(struct zlib_stream *);
} library;
static int is_loaded = 0;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *handle = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return;
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"inflateInit2_", &library.init},
        {"inflate", &library.inflate},
        {"inflateReset", &library.reset},
        {"inflateEnd", &library.end},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (function == NULL) return;
        memcpy(functions[i].place, &function, sizeof function);
    }
    is_loaded = 1;
}

void *martlet_zlib_open(int32_t *status) {
    pthread_once(&once, load);
    *status = is_loaded ? MARTLET_UNPACK_NO_MEMORY : MARTLET_UNPACK_NO_LIBRARY;
    if (!is_loaded) return NULL;
    struct zlib_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    // The library looks at the first digit of the version and at the structure's size.
    if (library.init(stream, ZLIB_WINDOW_BITS, "1.2.0", (int)sizeof *stream) != ZLIB_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

int32_t martlet_zlib_step(void *state, struct stretch *stretch) {
    struct zlib_stream *stream = state;
    while (stretch->written < stretch->capacity) {
        int64_t input = smaller(stretch->count - stretch->consumed, largest_stretch);
        int64_t output = smaller(stretch->capacity - stretch->written, largest_stretch);
        stream->next_in = stretch->input + stretch->consumed;
        stream->avail_in = (unsigned int)input;
        stream->next_out = stretch->output + stretch->written;
        stream->avail_out = (unsigned int)output;
        int code = library.inflate(stream, ZLIB_NO_FLUSH);
        int64_t used = input - (int64_t)stream->avail_in;
        int64_t made = output - (int64_t)stream->avail_out;
        stretch->consumed += used;
        stretch->written += made;
        if (code == ZLIB_STREAM_END) {
            return library.reset(stream) == ZLIB_OK ? MARTLET_UNPACK_END : MARTLET_UNPACK_CORRUPT;
        }
        if (code == ZLIB_MEMORY) return MARTLET_UNPACK_NO_MEMORY;
        // "Buffer error" only says that nothing could be done without more input.
        if (code != ZLIB_OK && code != ZLIB_BUFFER) return MARTLET_UNPACK_CORRUPT;
        if (used == 0 && made == 0) break;
    }
    return MARTLET_UNPACK_MORE;
}

void martlet_zlib_close(void *state) {
    library.end(state);
    free(state);
}
