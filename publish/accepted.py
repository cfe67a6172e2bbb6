"""What the repository takes.

It validates a template with its own list of types and, for SAM's types, with an older schema than CloudFormation's.
The list is documented; the schema is not, and is known from what was refused.
"""

# https://docs.aws.amazon.com/serverlessrepo/latest/devguide/list-supported-resources.html, those of the services used.
TYPES = frozenset(
    {
        "AWS::CloudFormation::CustomResource",
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::Events::Rule",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::Logs::MetricFilter",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
        "AWS::SSM::Parameter",
        "AWS::Serverless::Function",
        "AWS::Serverless::LayerVersion",
        "AWS::Serverless::SimpleTable",
        "AWS::Serverless::StateMachine",
        "AWS::StepFunctions::StateMachine",
    }
)

# Properties that both types had in 2020, when AWS::Serverless::StateMachine came. Later ones were refused by the
# repository: FunctionUrlConfig (aws-sam-cli#3987), SnapStart (#4531), ScalingConfig of an SQS event (#6127). So were
# RetryPolicy of a Schedule event and ScheduleV2; so there are no Events here, but resources of CloudFormation's own.
SAM_PROPERTIES = {
    "AWS::Serverless::Function": frozenset(
        {
            "CodeUri",
            "DeadLetterQueue",
            "Description",
            "Environment",
            "FunctionName",
            "Handler",
            "InlineCode",
            "KmsKeyArn",
            "Layers",
            "MemorySize",
            "PermissionsBoundary",
            "Policies",
            "ReservedConcurrentExecutions",
            "Role",
            "Runtime",
            "Tags",
            "Timeout",
            "Tracing",
            "VpcConfig",
        }
    ),
    "AWS::Serverless::StateMachine": frozenset(
        {"Definition", "DefinitionSubstitutions", "Logging", "Name", "Policies", "Role", "Tags", "Type"}
    ),
}
