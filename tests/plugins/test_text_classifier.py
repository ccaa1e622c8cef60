def test_x(tiny_artifact, sentiment_test):
    from registry.extension.predictor import load_predictor
    p = load_predictor(tiny_artifact)
    r = p.probabilities(sentiment_test)
    print(r[:3], r.shape, r.sum(1)[:3])
    import os; print(os.listdir(tiny_artifact), p)
