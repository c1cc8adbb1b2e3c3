"""Plain data: the vocabulary, the history, findings, diagnoses, actions. No torch."""
