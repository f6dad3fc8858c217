"""The Lambda function `questions`: what it does stands in usher.questions.asking."""

from usher.wiring import questions

handler = questions.handler()
