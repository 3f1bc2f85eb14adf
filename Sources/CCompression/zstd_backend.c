// Zstandard through libzstd.so.1. The prototypes follow its stable interface (version 1.4.0 and later).

#include "backends.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

struct zstd_input {
    const void *bytes;
    size_t size;
    size_t position;
};

struct zstd_output {
    void *bytes;
    size_t size;
    size_t position;
};

static struct {
    void *(*create)(void);
    size_t (*free)(void *);
    size_t (*decompress)(void *, struct zstd_output *, struct zstd_input *);
    unsigned (*is_error)(size_t);
} library;
static int is_loaded = 0;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *handle = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return;
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"ZSTD_createDStream", &library.create},
        {"ZSTD_freeDStream", &library.free},
        {"ZSTD_decompressStream", &library.decompress},
        {"ZSTD_isError", &library.is_error},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (function == NULL) return;
        memcpy(functions[i].place, &function, sizeof function);
    }
    is_loaded = 1;
}

void *martlet_zstd_open(int32_t *status) {
    pthread_once(&once, load);
    *status = is_loaded ? MARTLET_UNPACK_NO_MEMORY : MARTLET_UNPACK_NO_LIBRARY;
    return is_loaded ? library.create() : NULL;
}

// The library itself refuses windows of more than 128 MiB, so a frame's header cannot make it take more memory.
int32_t martlet_zstd_step(void *state, struct stretch *stretch) {
    struct zstd_input input = {.bytes = stretch->input, .size = (size_t)stretch->count};
    struct zstd_output output = {.bytes = stretch->output, .size = (size_t)stretch->capacity};
    int32_t status = MARTLET_UNPACK_MORE;
    while (status == MARTLET_UNPACK_MORE) {
        size_t used = input.position, made = output.position;
        size_t result = library.decompress(state, &output, &input);
        if (library.is_error(result)) {
            status = MARTLET_UNPACK_CORRUPT;
        } else if (result == 0) {
            status = MARTLET_UNPACK_END;
        } else if (output.position == output.size || (input.position == used && output.position == made)) {
            break;
        }
    }
    stretch->consumed = (int64_t)input.position;
    stretch->written = (int64_t)output.position;
    return status;
}

void martlet_zstd_close(void *state) { library.free(state); }
