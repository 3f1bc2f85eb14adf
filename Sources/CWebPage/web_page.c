// The files of `web/`, each embedded as it lies. A test compares this list with the folder.
#include "web_page.h"

static const unsigned char index_html[] = {
#embed "../../web/index.html"
};

const web_file web_files[] = {
    {"index.html", index_html, sizeof index_html},
    {NULL, NULL, 0},
};
