"""The installed command. A wheel holds the folders of the checkout below this one, under `rooms/`.

So an installation owns one name among the user's packages, and never their `app`, `reports` or `scenarios`.
The command puts that folder first on the path of its own process, and of its children
(`compose.host.sealed`).
"""
