// All kernels of training's row-wise layers, for an instruction set's file to include.
#ifndef CKERNELS_TRAINING_LAYERS_INSTANCES_H
#define CKERNELS_TRAINING_LAYERS_INSTANCES_H

#include "training_layers_columns.h"
#include "training_layers_loss.h"
#include "training_layers_random.h"
#include "training_layers_rows.h"

#define CK_TRAIN_KERNELS                                                                                        \
    {                                                                                                           \
        .norm = norm, .norm_backward = norm_backward, .rope = rope, .swiglu = swiglu,                           \
        .swiglu_backward = swiglu_backward, .copy = copy, .scale = scale, .column_sums = column_sums,           \
        .scatter_add = scatter_add, .cross_entropy = cross_entropy, .dropout = dropout, .normal = normal,       \
        .uniform = uniform, .sum_of_squares = sum_of_squares, .row_norms = row_norms,                           \
    }

#endif
