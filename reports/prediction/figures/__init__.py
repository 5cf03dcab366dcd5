"""The figures of a prediction's page, drawn by `reports.render.figures`."""
