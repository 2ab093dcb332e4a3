"""`mmrouter demo`: a day of made-up traffic through the real pipeline, for the dashboard to show.

Prompts are made up, the cloud is simulated and says so in its name; classifying, routing, retries,
fallbacks, prices, budgets and books are the real ones, and the small local model is a real one.
"""
