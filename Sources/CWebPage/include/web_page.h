// The files of the page, inside the binary: `martlet server` needs nothing beside itself.
#pragma once
#include <stddef.h>

/// One file of `web/`. The bytes live as long as the program.
typedef struct {
    const char *path;
    const unsigned char *bytes;
    size_t length;
} web_file;

/// All files, ended by one whose path is NULL.
extern const web_file web_files[];
