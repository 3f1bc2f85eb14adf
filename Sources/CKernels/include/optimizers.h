// One step of an optimizer over one tensor, element by element.
#ifndef CKERNELS_OPTIMIZERS_H
#define CKERNELS_OPTIMIZERS_H

#include <stddef.h>
#include <stdint.h>

#include "convert.h"
#include "thread_pool.h"

// What all optimizers have. `parameters` are the fp32 master values; `copy` (NULL: none) gets them in copy_type for the
// next forward pass. Gradients are multiplied by gradient_factor (clipping, averaging) as they are read.
typedef struct ck_update {
    int64_t count;
    float *parameters;
    const float *gradients;
    float gradient_factor;
    float learning_rate;
    float weight_decay;  // decoupled: parameters *= 1 - learning_rate * weight_decay first (AdamW, Lion)
    ck_type copy_type;
    void *copy;
} ck_update;

// AdamW (Loshchilov and Hutter, arXiv:1711.05101) with the order of operations and roundings of torch.optim.AdamW:
// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g²; p -= learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 -
// beta2^t) + epsilon). t counts from 1.
void ck_adamw(ck_pool *pool, const ck_update *update, float beta1, float beta2, float epsilon, int64_t t, float *m,
              float *v);

// Elements that share a scale in 8-bit states.
#define CK_STATE_BLOCK 256

// The same with states of 8 bits: m_codes, v_codes [count] and scales [ceil(count / CK_STATE_BLOCK)], by the dynamic
// codes of Dettmers et al., arXiv:2110.02861 (signed for m, unsigned for v), rounded to the nearest code. Zeroed memory
// is not a start: ck_adamw_8bit_begin is.
void ck_adamw_8bit_begin(int64_t count, uint8_t *m_codes, float *m_scales, uint8_t *v_codes, float *v_scales);
void ck_adamw_8bit(ck_pool *pool, const ck_update *update, float beta1, float beta2, float epsilon, int64_t t,
                   uint8_t *m_codes, float *m_scales, uint8_t *v_codes, float *v_scales);

// torch.optim.SGD: weight decay is added to the gradient (not decoupled); momentum 0 needs no state (NULL). The
// momentum of the first step (t = 1) is the gradient itself.
void ck_sgd(ck_pool *pool, const ck_update *update, float momentum, int64_t t, float *velocity);

// Lion (Chen et al., arXiv:2302.06675): p -= learning_rate * sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g.
void ck_lion(ck_pool *pool, const ck_update *update, float beta1, float beta2, float *m);

// average = decay average + (1 - decay) parameters: the exponential moving average of parameters.
void ck_moving_average(ck_pool *pool, int64_t count, float decay, const float *parameters, float *average);

#endif
