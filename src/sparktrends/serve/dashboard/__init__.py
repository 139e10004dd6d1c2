"""The page one keeps open all day: Streamlit pages over the views in `market`, and one live chart of our own.

`app` is the script (`streamlit run` works on it too), `screens/` one module a page, `figures` and `words` turn rows
into pictures and sentences and know nothing of Streamlit, `reading` asks the store, `chart/` runs in the browser.
"""
