// All subcommands, in the order in which `--help` lists them.

import ArgumentParser

enum CommandList {
    static let all: [any ParsableCommand.Type] = [
        RunCommand.self, LintCommand.self, SubmitCommand.self, ListCommand.self, GetCommand.self,
        LogsCommand.self, WhyCommand.self,
        WatchCommand.self, WaitCommand.self, RetryCommand.self, ResubmitCommand.self, StopCommand.self,
        TerminateCommand.self, SuspendCommand.self, ResumeCommand.self, NodeCommand.self, DeleteCommand.self,
        TemplateCommand.self, ClusterTemplateCommand.self, CronCommand.self, ArchiveCommand.self,
        ConvertCommand.self, RenderCommand.self,
        SecretCommand.self, BackupCommand.self, ServerCommand.self, TokenCommand.self,
        DownloadCommand.self, PretrainCommand.self, SFTCommand.self, RLHFCommand.self, DPOCommand.self,
        EvaluateCommand.self, QuantizeCommand.self, MergeCommand.self,
        TokenizerCommand.self, GenerateCommand.self, ChatCommand.self, ServeCommand.self,
        TokenizeCommand.self,
        DetokenizeCommand.self, ChatTemplateCommand.self, LogitsCommand.self,
        HubCommand.self,
        ModelsCommand.self, DeploymentsCommand.self,
        RestoreCommand.self, VersionCommand.self, CompletionCommand.self,
        InternalHTTPCommand.self, InternalStepCommand.self, InternalRowsCommand.self,
    ]
}
