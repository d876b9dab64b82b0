"""The timeline: a session or a tree as one HTML file that anybody with a browser can look at."""
