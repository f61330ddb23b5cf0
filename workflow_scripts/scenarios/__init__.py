"""From labels and frames to scenarios: which cases fit, what the text may say, which picture is exported."""
