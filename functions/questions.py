"""The Lambda function `questions`: what it does stands in usher.questions.asking."""

from usher.wiring.cold_start import cold_start

with cold_start():
    from usher.wiring import questions

    handler = questions.handler()
