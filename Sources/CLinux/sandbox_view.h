// The mounts that make the attempt's directory the step's root.

#ifndef MARTLET_SANDBOX_VIEW_H
#define MARTLET_SANDBOX_VIEW_H

#include <stddef.h>

#include "include/step_init.h"

/// Builds the view in the caller's own fresh mount namespace and makes it the root.
/// Returns 0, or a negative errno with what failed in `text`.
int martlet_view_enter(const struct martlet_step *step, char *text, size_t text_size);

/// Gives up every capability for good, for whatever is started later too.
int martlet_drop_privileges(void);

/// Creates the directory and those above it, with the caller's umask.
int martlet_make_directories(const char *path, unsigned mode);

#endif
