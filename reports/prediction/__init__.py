"""A prediction as people and programs read it: `prediction.json`, the sentence at its top, and the page.

    model.py      prediction.json (schema beside it)
    sentences.py  the answer, and every other sentence
    page.py       prediction.html: `page(prediction: Prediction) -> str`

`simulation.prediction` computes the numbers, `bench.predict` puts them together. Imports `reports`,
`simulation`, `traffic` and `scenarios`.
"""
