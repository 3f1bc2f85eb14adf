// The files of the page, inside the binary: `martlet server` needs nothing beside itself.
#pragma once
#include <stddef.h>

/// One file of `web/`. The bytes live as long as the program.
typedef struct {
    const char *path;
    const unsigned char *bytes;
    size_t length;
} web_file;

/// The file of an index; NULL behind the last one.
const web_file *web_file_at(size_t index);
