"""The Lambda function `questions`: what it does stands in usher.questions.asking."""

from usher.wiring.cold_start import without_collection

with without_collection():
    from usher.wiring import questions

    handler = questions.handler()
