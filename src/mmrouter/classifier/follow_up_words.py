"""Words that accept, continue, refer back or thank, in some thirty languages: plain data.

Each block is a list of regular expressions, `|` or a line's end between them.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


THANKS = r"""
    thank(?:s| you| u)|\bthx\b|\bty(?:vm|sm)?\b|\btnx\b|\bcheers\b|\bta\b|danke|dankesch|merci\b
    gracias|obrigad|valeu|grazie|bedankt|dank (?:je|u)|dzi[eę]k|спасиб|благодар|дякую|te[sş]ekk
    sa[gğ] ?ol|شكر|תודה|ممنون|مرسی|متشکر|سپاس|धन्यवाद|शुक्रिया|dhanyavaad|shukriya|ধন্যবাদ|谢|謝
    多谢|感谢|ありがと|感謝|助かりました|감사|고마|c[aả]m [oơ]n|ขอบคุณ|ขอบใจ|terima ?kasih
    makasih|\btack\b|\btakk\b|(?:mange|tusind) tak\b|\btak (?:for|skal)\b
    ευχαριστ|d[ií]ky|d[eě]kuj|ďakuj|mul[tț]umesc|\bmersi\b
    k[oö]sz|kiitos|kiitti|hvala|ačiū|paldies|aitäh|salamat|asante|நன்றி|నమస్కార|ధన్యవాద|شکریہ
"""
"""Anywhere in a turn: thanks."""

YES = r"""
    y|yes+|yea+h?|yep|yup|ye|yass|aye|sure(?: thing)?|ok(?:ay|ie)?|k|kk|alright|right|definitely
    absolutely|of course|certainly|go(?: ahead| for it| on)?|do (?:it|that|so)
    let'?s (?:do (?:it|that|this)|go|hear)|please(?: do)?|sounds? (?:good|great|perfect|fine)
    proceed|perfect|great|fine|good|works for me|why not|i'?d (?:love|like) (?:that|it)|love it
    that would be|make it so|ship it|approved?|lgtm|confirmed?|correct|exactly|agreed|deal|yolo
    run it|hit me|bring it on|all of (?:them|it)|both
    the (?:first|second|third|last|other)(?: one| option)?|option \w|(?:number )?[1-9a-d]|ja|jo
    jawohl|klar|gerne?|mach(?:en wir| das| es| mal)?|bitte|los|natürlich|na klar|passt|genau
    leg los|oui|ouais|d'accord|vas[- ]y|allez[- ]y|bien sûr|volontiers|avec plaisir|s[iíì]|vale
    dale|claro|hazlo|adelante|por supuesto|va|venga|perfecto|sim|pode(?: ser| fazer)?
    claro que sim|bora|manda|isso|certo|va bene|procedi|fallo|volentieri|perfetto|graag|doe maar
    prima|zeker|is goed|tak|jasne|pewnie|dawaj|poprosz[eę]|zr[oó]b to|да|давай(?:те)?|конечно
    ага|хорошо|ок|поехали|сделай(?:те)?|так|звісно|добре|evet|olur|tamam|tabii?(?: ki)?|lütfen
    hadi|نعم|أجل|ايوه|أيوة|تمام|طبعا|طبعًا|اوكي|موافق|כן|בטח|סבבה|יאללה|אוקיי|קדימה|בבקשה|بله
    آره|باشه|حتما|حتماً|لطفا|हाँ|हां|जी|ठीक है|ज़रूर|जरूर|haan?|theek hai|হ্যাঁ|হ্যা|ঠিক আছে
    অবশ্যই|করুন|好|好的|好啊|行|可以|是|是的|对|對|嗯|要|请|請|没问题|当然|開始吧|开始吧|はい
    うん|ええ|お願いします|おねがい(?:します)?|お願い|是非|ぜひ|よろしく|네|예|응|어|그래
    좋아요?|부탁(?:해요?|드려요|드립니다)?|물론|해줘|해 주세요|vâng|ừ|có|được|đồng ý|dạ|làm đi
    ok(?:e|ay)?|ใช่|ได้(?:เลย)?|โอเค|เอา(?:เลย)?|ตกลง|ครับ|ค่ะ|ya|iya|boleh|silakan|lanjut
    setuju|gärna|visst|absolut|självklart|kör|gjerne|klart|javisst|kyllä|joo|totta kai|ναι
    βεβαίως|εντάξει|ano|jasně|určitě|áno|da|desigur|sigur|igen|persze|rendben|hajrá|može|sea
    seguro|por favor|por fa|s'?il (?:te|vous) pla[iî]t|per favore|alsjeblieft|alstublieft|proszę
    пожалуйста|prosím|te rog|kérlek
"""
"""At the start of a turn: takes up an offer."""

CONTINUE = r"""
    continue|cont\b|go on|keep going|carry on|more\b|next\b|proceed|resume|and then|then what
    finish|keep it (?:up|coming)|another(?: one)?\b|one more|again\b|retry|try again|the rest
    part \d|weiter|mach weiter|fortfahren|noch (?:eine?[rsnm]?|mehr)|nochmal|mehr|continue[rz]?
    la suite|encore|contin[uú]a|sigue|otr[oa]|m[aá]s\b|continua|mais|outr[oa]|prossegu|avanti
    ancora|ga (?:door|verder)|nog een|kontynuuj|dalej|jeszcze|продолж|дальше|ещ[её]|далі|продовж
    ще\b|devam|bir daha|أكمل|تابع|استمر|كمل|تستمر|תמשיך|המשך|עוד|ادامه|یکی دیگه|जारी|आगे|और\b
    aage|চালিয়ে|আরও|继续|繼續|接着|再来|再來|下一|続け|つづ|もっと|次|계속|더\b|다음|tiếp|nữa
    ต่อ|อีก|lanjut|lagi|fortsätt|mer\b|fortsett|fortsæt|jatka|lisää|συνέχισε|κι άλλ|pokračuj|dál
    ještě|continuă|mai\b|folytasd|még
"""
"""At the start of a turn: more of the same."""

SAME = r"""
    (?:do )?likewise\b|retell
    (?:make|turn|put|rename|shorten|translate|rewrite) (?:it|that|this|them)\b
    (?:and |but |now )*(?:the |do the |do )?same\b
    and (?:for|in|with|what|how|if|the|now|to|on|a|my|also|why)\b|what about|how about|wh?at if
    now (?:for|in|with|do|make|the|as|to)\b|but (?:for|in|with|make|shorter|what|why)\b|instead
    again\b.*but|for \w+ (?:too|instead)
    und (?:jetzt|nun|für|auf|in|mit|was|wie|das|wenn|der|die)\b|das ?(?:gleiche|selbe)|dasselbe
    jetzt (?:auf|für|das)|et (?:en|pour|avec|si|le|la|maintenant|pourquoi)\b|la même|pareil
    maintenant (?:en|pour|la)
    (?:y|e) (?:en|para|con|si|ahora|por|el|la|em|agora|com|se|o|a|in|per|adesso|il)\b|lo mismo
    ahora (?:en|lo|para)|agora (?:em|o|para)|o mesmo|lo stesso|ora (?:in|per)
    en (?:in het|voor|nu|op)\b|hetzelfde|nu (?:in|voor)|(?:a|i) (?:po|dla|w|jak|teraz|co)\b
    to samo|teraz|а (?:на|для|в|если|как|теперь|по|что|почему)\b|то же|теперь
    а (?:українською|тепер|для)|те саме|тепер|peki|ya\b|aynısı|şimdi
    (?:و|طيب|والآن|نفس الشيء|و ?ماذا عن|وماذا)|ו(?:ב|ל|עכשיו|מה)|אותו דבר|עכשיו|حالا|همین|और अब
    और\b|अब|वही|aur\b|ab\b|এবার|এখন|একই|那|那么|换成|同样|現在|现在|也|再|じゃあ|では|それを
    同じ|今度は|次は|그럼|그러면|이번엔|이제|똑같이|같은|còn|bây giờ|giờ|tương tự|แล้ว|ตอนนี้
    เหมือนกัน|(?:kalau|bagaimana|sekarang|dan|terus)\b|och (?:på|för|nu|om)\b|samma|nu på
    og (?:på|for|nå|nu)\b|det samme|entä|ja (?:suomeksi|nyt)|sama|nyt|και (?:στα|για|τώρα)
    το ίδιο|τώρα|a (?:v|pro|co|teď)\b|totéž|teď|și (?:în|pentru|acum)|la fel|acum
    és (?:most|a|az)\b|ugyanez|most
"""
"""At the start of a turn: the last request again, with a change."""

OFFERS_SPACED = r"""
    want me|would you like|shall i|should i|do you want|i can|i could|i'?d be happy
    let me know if|if you (?:like|want)|want (?:a|an|the|some|it|to|one|more|another)|like me to
    need (?:a|an|me)|ready for|next i|happy to|interested in|care for|how about|soll ich
    möchtest|möchten|willst|wollen|kann ich|ich kann|voulez|veux-tu|souhait|je peux|puis-je
    quieres|quiere|puedo|te gustaría|desea|quer que|posso|gostaria|vuoi|vuole|wil je|zal ik
    kan ik|wilt u|chcesz|mam|mogę|czy|хотите|хочешь|могу|хочете|можу|ister mi|isterseniz|edeyim
    vill du|ska jag|vil du|skal jeg|haluatko|θέλετε|θέλεις|chcete|chceš|mám|vrei|doriți|pot să
    szeretn|mau|ingin|muốn|chahte|chahenge
"""
"""In an assistant's sentence: an offer to do something (whole words)."""

OFFERS_DENSE = r"""
    تريد|ترغب|أستطيع|هل|תרצה|רוצה|האם|می‌خواهید|می‌خوای|بخواهید|चाहते|चाहेंगे|করব|চান|要不要
    需要我|要我|可以帮|ましょうか|ますか|しょうか|드릴까요|할까요|원하|ต้องการ|ไหม
"""
"""The same in scripts where words are not spaced or take prefixes."""

WEAK_YES = r"""
    ok(?:ay|ie)?|k|kk|alright|right|perfect|great|fine|good|correct|exactly|and|please|pls|perfecto
    perfetto|perfekt|genau|prima|claro|vale|va|dale|bien|tak|так|да|хорошо|ок|tamam|تمام|好|好的|嗯|对|對|是|はい|네|ja|jo
    ya|a|b|c|d|[1-9]|da|no|y|si|sí|é|both|go
"""
"""Of YES: also how a turn on something else begins, so little may follow it."""

SMALL_TALK = r"""
    ok|okay|k|kk|cool|nice|great|perfect|awesome|amazing|lovely|brilliant|super|wow|lol|haha+|good
    got it|gotcha|understood|noted|makes sense|bye|goodbye|see (?:you|ya)|cya|night|hi|hello|hey
    morning|evening|afternoon|there|never ?mind|nvm|sorry|you too|a lot|so much|very|much|again|man
    mate|buddy|dude|all|for|your|the|help|that|this|it|is|was|works?|worked|now|really|helpful|you
    u|i|am|done|fixed|day|have|one|oh|ah|and|then|i see|right|fine|exactly|what|needed|everything
    wonderful|excellent|how are you|how's it going|what's up|legend|star|best|that's|thats|it's
    thanks|thank|thx|ty|tysm|tyvm|cheers|ta|just|testing|test|s|m|yo|sup|yay|hooray|phew|a|day
    sehr|vielen|dank|tausend|toll|danke(?:schön)?|alles|klar|gut|tschüss|hallo|guten|morgen|tag
    abend|beaucoup|merci|bien|parfait|bonjour|bonsoir|salut|muchas|mil|gracias|genial|perfecto|hola
    buenas|buenos|días|tardes|noches|muito|obrigad[oa]|valeu|oi|olá|bom|dia|boa|tarde|noite|tudo
    tante|mille|grazie|perfetto|ciao|buongiorno|buonasera|hartelijk|bedankt|dank|je|wel|u|hoi|goed
    wielkie|bardzo|dzięki|dziękuję|cześć|dzień|dobry|hej|большое|огромное|спасибо|понятно|ясно
    отлично|супер|привет|здравствуйте|добрый|день|вечер|дуже|дякую|привіт|çok|teşekkürler|ederim
    sağol|eyvallah|merhaba|selam|günaydın|mycket|tusen|tack|takk|tak|hei|moi|kiitos|paljon|mockrát
    díky|děkuji|ahoj|mulțumesc|mersi|salut|bună|köszönöm|szépen|nagyon|szia|terima|kasih|makasih
    banyak|halo|cảm|ơn|nhiều|bạn|xin|chào
    شكرا|شكرًا|جزيلا|جزيلاً|لك|مرحبا|أهلا|السلام|عليكم|תודה|רבה|לך|שלום|היי|ممنون|مرسی|خیلی|متشکرم
    سلام|धन्यवाद|बहुत|शुक्रिया|आपका|नमस्ते|ধন্যবাদ|অনেক|ευχαριστώ|πολύ|γεια|σου|καλημέρα
"""
"""A turn of these words alone asks for nothing."""

SMALL_DENSE = r"""
    [谢謝了你您太多感好的明白懂棒很啦呀哈是吗嗨早]|ありがとう|ございます|ございました|助かりました|なるほど|了解|です|こんにちは|おはよう|감사합니다|고마워요?
    고맙습니다|네|정말|안녕하세요|안녕|ขอบคุณ|มาก|ครับ|ค่ะ|นะ|สวัสดี
"""
"""The same in scripts without spaces."""

GREETING = r"""
    hi|hello|hey|yo|good (?:morning|evening|afternoon)|morning|hallo|guten \w+|bonjour|salut|hola
    buen[oa]s|olá|oi|ciao|buongiorno|hoi|cześć|hej|привет|здравствуйте|привіт|merhaba|selam|שלום
    سلام|مرحبا|नमस्ते|你好|您好|こんにちは|안녕|xin chào|สวัสดี|halo|hei|moi|γεια|ahoj|bună|szia|namaste
"""
"""At the start of a turn of a few words: a hello, with a name perhaps."""

BACK = _set("""
    it this these them dies dieses diesen diese eso esto ese este esa ça cela isso isto
    questo quello quella dit dat deze die tego tę ten это этого этот эту его це цей
    цього його bunu şunu onu sitä αυτό αυτά asta aceasta ezt azt itu ini nó này đó isko
    ise usko yeh هذا هذه ذلك تلك زه זה זאת אותו אותה این آن यह वह इसे उसे ये এটা ওটা এটি
""")
"""A short turn with one of these points at what went before."""

BACK_DENSE = "这這那它これそれあれ이거그거그걸이걸นี้นั้นมัน"
"""The same, as characters or syllables of scripts without spaces."""

WISH = r"""
    what|whats|what's|who|whos|who's|when|where|why|how|how's|which|whose|is|are|was|were|do|does
    did|can|could|should|would|will|explain|describe|tell|give|show|list|define|translate
    summari[sz]e|compare|analy[sz]e|prove|derive|compute|calculate|solve|find|write|draft|compose
    make|create|build|design|implement|plan|suggest|name|code|fix|debug|refactor|convert|rewrite
    shorten|i need|i want|help|btw|by the way|actually|forget|never ?mind|nvm|later|different
    another question|new (?:topic|question)|unrelated|wer|wann|wo|warum|wie|welche[rs]?|schreib
    erkläre?|nenne?|comment|pourquoi|combien|qui|où|quand|écris|explique|cómo|qué|quién|cuándo
    dónde|cuánto|escribe|explica|como|quem|quando|onde|escreva|come|chi|dove|perché|scrivi|spiega
    hoe|wat|wie|waarom|schrijf|jak|co|kto|kiedy|napisz|wyjaśnij|как|что|кто|когда|почему|напиши
    объясни|nasıl|ne|kim|yaz|açıkla|anlat
"""
"""At the start of a turn: a request of its own, also after a question."""

REVISE = _set("""
    shorter longer simpler funnier warmer formal casual better nicer darker less more why
    how wdym elaborate expand explain rephrase reword rewrite redo undo revert fix translate
    instead also too meaning example examples version bullets bullet table tests tldr eli5
    source sources again kürzer länger einfacher warum wieso lockerer förmlicher beispiel
    corto breve largo formal plus court long pourquoi exemple curto maior menor porque
    porquê più corto perché esempio korter langer waarom voorbeeld krócej dłużej dlaczego
    przykład короче длиннее почему зачем пример подробнее коротше чому приклад докладніше
    daha kısa uzun neden niye örnek kortare längre varför exempel kortere hvorfor lyhyempi
    miksi pidempi γιατί σύντομα proč kratší delší příklad scurt rövidebb miért példa lebih
    kenapa contoh hơn tại sao ngắn kyun kyon chhota udaharan مختصر أقصر لماذا ليش مثال קצר
    למה דוגמה کوتاه چرا مثال छोटा क्यों उदाहरण ছোট কেন উদাহরণ
""")
"""A turn of a few words with one of these changes or questions the answer before."""

REVISE_DENSE = "短长長改更もっとなぜどうして例왜더짧게예시สั้นทำไม为什么"
