// The files of `web/`, each embedded as it lies. Made by `make web-list`; a test compares the list with the folder.
#include "web_page.h"

static const unsigned char file_0[] = {
#embed "../../web/index.html"
};

static const web_file files[] = {
    {"index.html", file_0, sizeof file_0},
};

const web_file *web_file_at(size_t index) {
    return index < sizeof files / sizeof files[0] ? &files[index] : NULL;
}
