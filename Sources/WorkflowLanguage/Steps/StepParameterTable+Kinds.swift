// The tables themselves, in the notation that StepParameterTable reads. Ranges are those of the commands'
// own checks.

extension StepParameterTable {
    static let shared = """
        martlet|ms-swift|vllm|evalscope: backend
        """

    static let training = """
        text: model init_config tokenizer torch_dtype
        list: adapters
        bnb: quant_method
        integer [4,8]: quant_bits
        flag: double_quantization
        full|lora: tuner_type
        integer [1,65536]: lora_rank
        number [1e-6,1e6]: lora_alpha
        number [0,1): lora_dropout
        list: target_modules modules_to_save freeze_parameters trainable_parameters
        text: target_regex
        flag: use_dora use_rslora
        list: dataset val_dataset
        number [0,1): split_dataset_ratio
        flag: dataset_shuffle strict streaming load_from_cache_file packing group_by_length
        text: columns system batch_order
        integer [1,1024]: dataset_num_proc
        integer [2,268435456]: max_length packing_length
        delete|left|right|split: truncation_strategy
        default|last_round|all: loss_scale
        natural: seed data_seed
        number (0,1e6]: num_train_epochs
        integer: max_steps
        integer [1,65536]: per_device_train_batch_size per_device_eval_batch_size
        integer [1,1048576]: gradient_accumulation_steps
        number [0,10]: learning_rate
        cosine|linear|constant|constant_with_warmup|cosine_with_min_lr: lr_scheduler_type
        number [0,1]: warmup_ratio weight_decay
        integer [0,1e12]: warmup_steps
        number [0,10]: min_lr
        adamw_torch|adamw_8bit|sgd|lion: optim
        number [0,1): adam_beta1 adam_beta2 momentum
        number [1e-30,1]: adam_epsilon
        number [0,1e9]: max_grad_norm
        number (0,1): ema_decay
        flag: gradient_checkpointing
        token|micro_mean: loss_reduction
        number [0,1000]: neftune_noise_alpha
        text: output_dir metric_for_best_model log_json resume_from_checkpoint
        no|steps|epoch: eval_strategy save_strategy
        integer [1,1099511627776]: eval_steps save_steps logging_steps
        integer [1,1000000]: save_total_limit early_stop_interval
        flag: save_only_model create_checkpoint_symlink greater_is_better logging_first_step
        list: report_to
        flag: resume_only_model ignore_data_skip
        integer [1,1024]: threads
        flag: dry_run force
        text: config
        """

    static let preferences = """
        dpo|orpo|simpo|cpo|kto: rlhf_type
        sigmoid|hinge|ipo: loss_type
        number (0,1000]: beta
        number [0,0.5): label_smoothing
        number [0,1000]: rpo_alpha cpo_alpha simpo_gamma desirable_weight undesirable_weight
        text: ref_model
        list: ref_adapters
        flag: precompute_ref_log_probs
        """

    static let download = """
        text: repo model dataset
        model|dataset|space: repo_type
        text: revision
        hf|huggingface|modelscope|ms: hub
        flag: use_hf
        list: include exclude
        text: local_dir output_dir cache_dir
        flag: force_download local_files_only dry_run
        list: endpoint
        text: token hub_token
        integer [1,64]: max_workers
        text: limit_rate
        flag: json quiet
        text: config
        """

    static let tokenizer = """
        list: dataset
        integer [257,16777216]: vocab_size
        text: output_dir chat_template
        list: special_tokens
        integer [1,1e12]: min_frequency
        gpt2|llama3|qwen2: splitting
        text: config
        """

    static let evaluate = """
        list: eval_dataset datasets task dataset subset_list
        test|validation|dev|train: eval_split
        integer: eval_limit limit num_fewshot few_shot_num
        text: few_shot_file
        loglikelihood|generation|perplexity|code: scoring
        flag: apply_chat_template
        text: system model
        list: adapters
        text: tokenizer
        stored|int8|int4: quant
        integer [1,1024]: threads
        integer [2,1e12]: max_length
        text: api_url eval_url api_key
        integer: eval_batch_size max_new_tokens top_k
        number: temperature top_p
        list: stop k
        integer: n
        number (0,86400]: timeout
        natural: seed
        text: output_dir eval_output_dir
        flag: restart
        list: fail_below fail_above
        text: fail_if_worse_than
        number: tolerance
        list: compare
        text: config
        """

    static let quantize = """
        text: model
        rtn|gptq|awq|fp8|int8|bnb|gptq_v2: quant_method
        integer: quant_bits group_size
        gptq|awq|compressed-tensors: quant_format
        flag: sym desc_act static_groups
        number: damp_percent
        channel|tensor: fp8_scales
        list: modules_to_not_convert dataset val_dataset
        integer: quant_n_samples quant_batch_size max_length
        text: columns system
        natural: seed
        text: output_dir
        flag: exist_ok
        list: adapters
        integer: threads
        text: config
        """

    static let merge = """
        text: model
        list: adapters
        text: output_dir
        flag: exist_ok force merge_lora
        text: config
        """

    static let generate = """
        text: model tokenizer prompt ids file dataset system json_schema regex config
        list: adapters stop choice
        stored|int8|int4: quant
        dequantized|eightBit: quant_arithmetic
        integer [1,1024]: threads
        integer [1,1e12]: max_new_tokens
        number: temperature top_p min_p repetition_penalty presence_penalty frequency_penalty
        integer: top_k
        natural: seed
        flag: ignore_eos chat
        text|json: output
        """

    static let deploy = """
        text: model name
        integer [1,32]: replicas
        integer [0,65000]: port
        stored|int8|int4: quant
        names: adapters
        number [0,3600]: min_ready_seconds
        """
}
