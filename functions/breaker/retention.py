"""How long SQS keeps messages."""

# A queue that says nothing else keeps messages for 4 days, and no queue for more than 14:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
DEFAULT_RETENTION_SECONDS = 345_600
LONGEST_RETENTION_SECONDS = 1_209_600
# The reconciler speaks up when the oldest message has used up this part of the retention. What is left is time for a
# person to act: a day of the four that SQS keeps by default.
NEAR_RETENTION = 0.75
