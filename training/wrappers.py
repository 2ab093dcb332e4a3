"""Words around a request that do not change what it is: for training copies. Written by hand."""

from __future__ import annotations

BEFORE = {
    "en": (
        "Hi there, hope you're having a good week.",
        "Quick one before my next meeting:",
        "Sorry to bother you again,",
        "I've just got back from two weeks off and my inbox is a crime scene, so bear with me.",
        "Good morning!",
        "hey hey",
        "Hello, first time using this, so forgive me if I'm doing it wrong.",
        "My colleague told me that you're good at this kind of thing.",
        "so um yeah okay here's the thing",
        "It's late, the kids are finally asleep and I've got one thing left on my list.",
        "I'm typing this on my phone on a very full train, so excuse the typos.",
        "Could you please help me with the following?",
        "Please and thank you in advance:",
        (
            "We spent the whole morning in a workshop on quarterly planning, with slides on "
            "latency budgets and market share, and I've had four coffees. Anyway."
        ),
        (
            "The dog's been sick on the carpet, the plumber's an hour late, and I've still got "
            "to do this."
        ),
        "ok new topic",
        "Forget what we talked about before.",
        "I know that you're busy with the deploy, this is something else.",
        "My boss just walked by and asked me this and I nodded as if I knew.",
        (
            "A bit of background: I run a small bike shop with my brother, we've been at it "
            "since 2009, and neither of us is any good with computers."
        ),
        "Background: I'm a nurse, on nights this week, writing this in the break room.",
        "I study law in my second year and I should really be revising contracts, but",
        "@bot",
        "Hey team assistant,",
        "[from the mobile app]",
        "Not urgent.",
        "URGENT!!",
        "Just for fun:",
        "This might be a silly question, but",
        "I've asked three people and got four answers, so:",
        "Thanks for the last answer, it was great.",
        "While the tests are running:",
        (
            "Yesterday we migrated the database, argued about the proof of a theorem over lunch, "
            "and somebody designed a logo. Unrelated to all that:"
        ),
        "I don't need any tools or files for this.",
        "Look, I'll be honest, I've put this off for a week.",
        "As discussed with Marta,",
        "One more thing.",
        "For my mum:",
        "My daughter wants to know:",
        "Dear assistant,",
    ),
    "es": (
        "Hola, perdona que te moleste,",
        "Buenos días.",
        "Una pregunta rápida:",
        "Estoy en el tren y escribo con prisa.",
    ),
    "fr": (
        "Bonjour,",
        "Salut, petite question :",
        "Désolé de te déranger encore.",
        "Je t'écris du bus, alors pardon pour les fautes.",
    ),
    "de": (
        "Hallo zusammen,",
        "Guten Morgen!",
        "Kurze Frage:",
        "Ich sitze gerade im Zug und tippe mit einer Hand.",
    ),
    "pt": (
        "Oi, tudo bem?",
        "Bom dia!",
        "Uma dúvida rápida:",
    ),
    "it": (
        "Ciao, scusa il disturbo.",
        "Buongiorno,",
        "Domanda veloce:",
    ),
    "nl": (
        "Hoi,",
        "Goedemorgen, korte vraag:",
    ),
    "pl": (
        "Cześć,",
        "Dzień dobry, szybkie pytanie:",
    ),
    "ru": (
        "Привет!",
        "Добрый день.",
        "Извините за беспокойство,",
        "Быстрый вопрос:",
    ),
    "uk": (
        "Привіт!",
        "Добрий день, швидке питання:",
    ),
    "tr": (
        "Merhaba,",
        "İyi günler, kısa bir sorum var:",
    ),
    "ar": (
        "مرحبا،",
        "السلام عليكم، سؤال سريع:",
    ),
    "he": (
        "היי,",
        "שלום, שאלה קצרה:",
    ),
    "fa": (
        "سلام، وقت بخیر",
        "یه سوال سریع:",
    ),
    "hi": (
        "नमस्ते,",
        "एक छोटा सा सवाल:",
        "bhai suno",
    ),
    "bn": (
        "নমস্কার,",
        "একটা ছোট প্রশ্ন:",
    ),
    "zh": (
        "你好，",
        "打扰一下，",
        "早上好！",
    ),
    "ja": (
        "こんにちは。",
        "お忙しいところすみません。",
        "ちょっと質問です。",
    ),
    "ko": (
        "안녕하세요,",
        "급한 건 아닌데요,",
    ),
    "vi": (
        "Chào bạn,",
        "Cho mình hỏi nhanh:",
    ),
    "th": (
        "สวัสดีค่ะ",
        "ถามนิดนึงครับ",
    ),
    "id": (
        "Halo,",
        "Selamat pagi, tanya sebentar:",
    ),
    "sv": (
        "Hej!",
        "En snabb fråga:",
    ),
    "el": (
        "Γεια σας,",
        "Μια γρήγορη ερώτηση:",
    ),
    "cs": (
        "Ahoj,",
        "Dobrý den, rychlý dotaz:",
    ),
    "ro": (
        "Bună,",
        "O întrebare rapidă:",
    ),
    "hu": (
        "Szia,",
        "Gyors kérdés:",
    ),
    "fi": (
        "Hei,",
        "Nopea kysymys:",
    ),
}
"""Language -> what may stand before."""

AFTER = {
    "en": (
        "Thanks!",
        "thx",
        "Thank you so much, you're a lifesaver.",
        "Cheers, Tom",
        "No rush.",
        "I'd be really grateful.",
        "That's all for today, I think.",
        "Sent from my phone",
        "pls",
        "Many thanks and have a lovely weekend!",
        "(I'll be back at my desk at three.)",
        "if you don't mind",
        "Sorry for the long message.",
        "Best regards, Ines Carvalho, Operations",
        "Appreciate it.",
        "ty!!",
        "And then I promise to leave you alone.",
        "The rest of the thread is only about parking.",
        "You can ignore the attachment, it's the canteen menu.",
        "lmk",
    ),
    "es": (
        "Gracias de antemano.",
        "gracias!",
        "Un saludo",
    ),
    "fr": (
        "Merci beaucoup !",
        "merci d'avance",
        "Bonne journée",
    ),
    "de": (
        "Danke schon mal!",
        "danke dir",
        "Viele Grüße",
    ),
    "pt": (
        "Obrigado!",
        "valeu",
        "Agradeço desde já",
    ),
    "it": (
        "Grazie mille!",
        "grazie",
        "Buona giornata",
    ),
    "nl": (
        "Dank je wel!",
        "alvast bedankt",
    ),
    "pl": (
        "Dzięki!",
        "Z góry dziękuję",
    ),
    "ru": (
        "Спасибо!",
        "спс",
        "Заранее благодарю",
    ),
    "uk": (
        "Дякую!",
        "Дуже вдячна",
    ),
    "tr": (
        "Teşekkürler!",
        "sağ ol",
    ),
    "ar": (
        "شكرا جزيلا",
        "وشكرا مقدما",
    ),
    "he": ("תודה רבה!",),
    "fa": (
        "ممنونم",
        "مرسی",
    ),
    "hi": (
        "धन्यवाद",
        "thanks yaar",
    ),
    "bn": ("ধন্যবাদ",),
    "zh": (
        "谢谢！",
        "麻烦了",
    ),
    "ja": (
        "よろしくお願いします。",
        "ありがとう！",
    ),
    "ko": (
        "감사합니다!",
        "고마워요",
    ),
    "vi": ("Cảm ơn nhiều!",),
    "th": ("ขอบคุณค่ะ",),
    "id": (
        "Terima kasih!",
        "makasih",
    ),
    "sv": ("Tack!",),
    "el": ("Ευχαριστώ!",),
    "cs": ("Díky!",),
    "ro": ("Mulțumesc!",),
    "hu": ("Köszönöm!",),
    "fi": ("Kiitos!",),
}
"""Language -> what may stand after."""
