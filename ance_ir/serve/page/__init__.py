"""The search page: one HTML file, its style and scripts (modules, no build step). It asks the server alone, through ``api.js``.

The state of the page is its address (``address.js``): ``main.js`` shows a state, links and ``go`` make another one. All that documents and
queries hold becomes text nodes (``elements.js``); nothing is inline, so that the Content-Security-Policy can forbid what is.
"""
