"""List prices of us-east-1 in US dollars, without the free tiers."""

# https://aws.amazon.com/step-functions/pricing/
TRANSITION = 25 / 1e6
# https://aws.amazon.com/lambda/pricing/, x86
INVOCATION = 0.20 / 1e6
GIGABYTE_SECOND = 0.0000166667
# https://aws.amazon.com/sqs/pricing/, a standard queue
SQS_REQUEST = 0.40 / 1e6
# https://aws.amazon.com/dynamodb/pricing/on-demand/
WRITE_UNIT = 0.625 / 1e6
READ_UNIT = 0.125 / 1e6
# https://aws.amazon.com/eventbridge/pricing/
EVENT = 1.00 / 1e6
# https://aws.amazon.com/cloudwatch/pricing/
ALARM_METRIC_MONTH = 0.10
