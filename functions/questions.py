"""The Lambda function `questions`: what it does stands in usher.asking."""

from usher.wiring import questions

handler = questions.handler()
