#!/bin/sh
# Writes web_page.c: each file below web/, embedded as it lies. Run it by `make web-list`.
set -eu
cd "$(dirname "$0")/../../web"
files=$(find . -type f ! -name '.*' ! -name '*.md' | sed 's|^\./||' | LC_ALL=C sort)
target=../Sources/CWebPage/web_page.c
{
    echo '// The files of `web/`, each embedded as it lies. Made by `make web-list`; a test compares the list with the folder.'
    echo '#include "web_page.h"'
    number=0
    for file in $files; do
        echo
        echo "static const unsigned char file_$number[] = {"
        echo "#embed \"../../web/$file\""
        echo '};'
        number=$((number + 1))
    done
    echo
    echo 'static const web_file files[] = {'
    number=0
    for file in $files; do
        echo "    {\"$file\", file_$number, sizeof file_$number},"
        number=$((number + 1))
    done
    echo '};'
    echo
    echo 'const web_file *web_file_at(size_t index) {'
    echo '    return index < sizeof files / sizeof files[0] ? &files[index] : NULL;'
    echo '}'
} >"$target"
